package dev.dcgan.faults;

import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The command lines of the packaged programs. */
final class Programs {

  static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer").toAbsolutePath();
  static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler").toAbsolutePath();

  /** A short training: 120 steps, with a checkpoint every four. */
  static final List<String> SMALL =
      List.of(
          "--preset=mnist28",
          "--images=200",
          "--held-out=0.2",
          "--epochs=15",
          "--width=4",
          "--latent=8",
          "--batch-size=20",
          "--checkpoint-every=4",
          "--evaluation-images=100",
          "--http-port=0");

  private Programs() {}

  static List<String> trainer(String... arguments) {
    return command(TRAINER, arguments);
  }

  /** {@code trainer train} with the settings {@link #SMALL}. */
  static List<String> smallTraining(String... arguments) {
    List<String> command = new ArrayList<>(trainer("train"));
    command.addAll(SMALL);
    command.addAll(Arrays.asList(arguments));
    return command;
  }

  static List<String> sampler(String... arguments) {
    return command(SAMPLER, arguments);
  }

  /** Runs a program to its end, which must be a success. */
  static void run(Path folder, List<String> command) throws IOException, InterruptedException {
    String unused = Program.run(folder, command);
  }

  private static List<String> command(Path program, String... arguments) {
    List<String> command = new ArrayList<>(List.of(program.toString()));
    command.addAll(Arrays.asList(arguments));
    return command;
  }
}
