package dev.dcgan.trainer;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.Problems;
import dev.dcgan.trainer.net.Architecture;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Where, and as what, a command publishes. */
final class PublishOptions {

  // Read by ONNX Runtime's native library when it is loaded: nothing in its API is early enough.
  private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      description = "Where the model is published.",
      defaultValue = "models")
  private Path repository = Path.of("models");

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The name to publish under.",
      defaultValue = Architecture.MNIST28)
  private String model = Architecture.MNIST28;

  void check(Problems problems) {
    problems.require(
        ModelRepository.isName(model),
        "--model '%s': expected lower-case letters, digits, '.', '-' and '_', at most 63"
            .formatted(model));
    problems.require(
        "1".equals(System.getenv(NO_TELEMETRY)),
        NO_TELEMETRY
            + " is not 1: ONNX Runtime, which checks the export, would send telemetry;"
            + " start with bin/trainer, or set it");
  }

  String model() {
    return model;
  }

  Publisher publisher() {
    return new Publisher(new ModelRepository(repository), model);
  }
}
