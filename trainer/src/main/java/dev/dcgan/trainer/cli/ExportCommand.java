package dev.dcgan.trainer.cli;

import dev.dcgan.server.Validator;
import dev.dcgan.server.Settings;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.publish.ModelPublisher;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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
    Checkpoint read = CheckpointFile.read(file);
    Optional<RunDirectory> folder = RunDirectory.of(file);
    Optional<Run> run = folder.isPresent() ? Optional.of(folder.get().read()) : Optional.empty();
    String model =
        !publish.model().isEmpty()
            ? publish.model()
            : run.map(found -> found.getConfig().getModel()).orElse(read.architecture().name());
    new ModelPublisher(publish.repository(), model)
        .publish(read, run.map(Run::getId).orElse(""), Map.of());
    return 0;
  }
}
