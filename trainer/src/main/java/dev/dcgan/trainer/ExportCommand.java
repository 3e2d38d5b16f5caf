package dev.dcgan.trainer;

import dev.dcgan.server.Problems;
import dev.dcgan.server.Settings;
import dev.dcgan.trainer.train.CheckpointFile;
import dev.dcgan.trainer.train.TrainingDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer export}: a checkpoint in, a published model out. */
@Command(
    name = "export",
    description = "Exports, checks and publishes the generator of a checkpoint.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
final class ExportCommand implements Settings.Command {

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      required = true,
      description = "A .safetensors file from a run's checkpoints folder.")
  private @Nullable Path checkpoint;

  @Mixin private PublishOptions publish = new PublishOptions();

  @Override
  public void check(Problems problems) {
    problems.require(
        checkpoint == null || Files.isRegularFile(checkpoint),
        "--checkpoint " + checkpoint + ": no such file");
    publish.check(problems);
  }

  @Override
  public Integer call() throws IOException {
    Path file = Objects.requireNonNull(checkpoint, "checked");
    TrainingDevice.select("cpu");
    publish.publisher().publish(CheckpointFile.read(file), runOf(file));
    return 0;
  }

  /** The run's folder: {@code <run>/checkpoints/<file>}. */
  private static String runOf(Path file) {
    Path checkpoints = file.toAbsolutePath().normalize().getParent();
    Path run = checkpoints == null ? null : checkpoints.getParent();
    return run == null || run.getFileName() == null ? "" : run.getFileName().toString();
  }
}
