package dev.dcgan.trainer;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.net.GeneratorWeights;
import dev.dcgan.trainer.onnx.ExportCheck;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.trainer.train.TrainedGenerator;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.TrainingOrigin;
import java.io.IOException;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands a checkpoint's generator over: exports it, compares the export with the network, publishes
 * it.
 */
final class Publisher {

  private static final Logger log = LoggerFactory.getLogger("publish");

  private final ModelRepository repository;
  private final String model;

  Publisher(ModelRepository repository, String model) {
    this.repository = repository;
    this.model = model;
  }

  /**
   * Publishes as the next version of the model.
   *
   * @throws IOException the export differs from the network, or the repository cannot be written;
   *     nothing was published
   */
  ModelBundle publish(Checkpoint checkpoint, String runId) throws IOException {
    try (TrainedGenerator generator = new TrainedGenerator(checkpoint)) {
      GeneratorWeights weights = generator.weights();
      byte[] onnx = GeneratorExporter.toOnnx(weights, metadata(checkpoint));
      ExportCheck.Result check =
          ExportCheck.check(onnx, weights.shape(), weights.latentSize(), generator::images);
      log.info(
          "the export agrees with the network: at most {} apart in float, {} in grey levels",
          "%.1e".formatted(check.maxDifference()),
          check.maxPixelDifference());
      ModelBundle bundle = repository.publish(manifest(checkpoint, weights, runId, check), onnx);
      log.info("published {} in {}", bundle, bundle.folder());
      return bundle;
    }
  }

  /** Nothing of when and where: the same run twice gives the same file. */
  private static Map<String, String> metadata(Checkpoint checkpoint) {
    return Map.of(
        "epoch", Integer.toString(checkpoint.epoch()),
        "seed", Long.toUnsignedString(checkpoint.hyperparameters().seed()),
        "dataset_sha256", checkpoint.dataset().sha256());
  }

  private ModelManifest manifest(
      Checkpoint checkpoint, GeneratorWeights weights, String runId, ExportCheck.Result check) {
    return ModelManifest.newBuilder()
        .setModel(ModelVersion.newBuilder().setName(model))
        .setOnnxOpset(GeneratorExporter.OPSET)
        .setArchitecture(weights.architecture())
        .setShape(weights.shape().toProto())
        .setLatentSize(weights.latentSize())
        .setLatentLaw(Latents.LAW)
        .setNormalisation(ModelBundle.NORMALISATION)
        .setOrigin(
            TrainingOrigin.newBuilder()
                .setRunId(runId)
                .setEpochs(checkpoint.epoch())
                .setSeed(checkpoint.hyperparameters().seed())
                .setDataset(checkpoint.dataset().name())
                .setDatasetSha256(checkpoint.dataset().sha256())
                .setDatasetImages(checkpoint.dataset().images()))
        .putQuality("export_max_difference", check.maxDifference())
        .addAllGolden(check.golden())
        .setPixelTolerance(ExportCheck.PIXEL_TOLERANCE)
        .build();
  }
}
