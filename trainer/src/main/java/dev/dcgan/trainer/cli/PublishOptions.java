package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The repository and name to publish to. */
final class PublishOptions {

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      description = "Folder where the model is published.",
      defaultValue = "models")
  private Path repository = Path.of("models");

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The name to publish under. Default: the run's, else its preset's")
  private @Nullable String model;

  @Mixin private SigningOptions signing = new SigningOptions();

  void check(Validator problems) {
    problems.requireMatches("--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    signing.check(problems);
    problems.requireNoTelemetry("bin/trainer"); // The export is checked in ONNX Runtime.
  }

  /** The model's name; empty: none was given. */
  String model() {
    return model == null ? "" : model;
  }

  /**
   * Creates the repository's folder.
   *
   * @throws IOException it cannot be written, which must be known before training
   */
  ModelRepository repository() throws IOException {
    try {
      AtomicFiles.createFolder(repository);
    } catch (FileSystemException e) {
      throw new IOException(
          "--repository %s: cannot create the folder: %s; choose another"
              .formatted(repository, ErrorMessages.oneLine(e)),
          e);
    }
    if (!Files.isWritable(repository)) {
      throw new IOException(
          "--repository %s: the folder is not writable; choose another".formatted(repository));
    }
    return ModelRepository.signing(repository, signing.key());
  }
}
