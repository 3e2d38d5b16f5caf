package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where, and as what, a command publishes. */
final class PublishOptions {

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      description = "Where the model is published.",
      defaultValue = "models")
  private Path repository = Path.of("models");

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The name to publish under. Default: the run's, which is its preset's")
  private @Nullable String model;

  void check(Validator problems) {
    problems.requireMatches(
        "--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    problems.requireNoTelemetry("bin/trainer"); // The export is checked in ONNX Runtime.
  }

  /** Empty where none was given. */
  String model() {
    return model == null ? "" : model;
  }

  /**
   * Where to publish.
   *
   * @throws IOException it cannot be written: better known before the training than after
   */
  ModelRepository repository() throws IOException {
    try {
      AtomicFiles.createFolder(repository);
    } catch (FileSystemException e) {
      throw new IOException(
          "--repository %s: cannot be made (%s); choose another".formatted(repository, e), e);
    }
    if (!Files.isWritable(repository)) {
      throw new IOException(
          "--repository %s: cannot be written; choose another".formatted(repository));
    }
    return new ModelRepository(repository);
  }
}
