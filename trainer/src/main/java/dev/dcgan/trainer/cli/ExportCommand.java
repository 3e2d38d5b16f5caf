package dev.dcgan.trainer.cli;

import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer export}: publishes the generator of a checkpoint. */
@Command(
    name = "export",
    description = "Exports, checks and publishes the generator of a checkpoint.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
public final class ExportCommand implements Settings.Command {

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      required = true,
      description = "A .safetensors file from a run's checkpoints folder.")
  private @Nullable Path checkpoint;

  @Mixin private PublishOptions publish = new PublishOptions();

  @Override
  public void check(Validator problems) {
    problems.require(
        checkpoint == null || Files.isRegularFile(checkpoint),
        "--checkpoint " + checkpoint + ": no such file");
    publish.check(problems);
  }

  @Override
  public Integer call() throws IOException {
    return NativeFailureException.reporting(this::export);
  }

  private int export() throws IOException {
    Path file = Objects.requireNonNull(checkpoint, "checked");
    TrainingDevice.select("cpu");
    new CheckpointPublisher(publish.repository(), () -> {}).publish(file, publish.model());
    return 0;
  }
}
