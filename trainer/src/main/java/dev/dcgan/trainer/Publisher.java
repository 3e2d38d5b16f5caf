package dev.dcgan.trainer;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.net.GeneratorWeights;
import dev.dcgan.trainer.onnx.ExportCheck;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.trainer.train.TrainedGenerator;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.TrainingOrigin;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
   * Publishes as the next version of the model; where this run has published these bytes as the
   * newest version already, that one stands.
   *
   * @param quality what was measured of the generator, by name
   * @throws IOException the export differs from the network, or the repository cannot be written;
   *     nothing was published
   */
  ModelBundle publish(Checkpoint checkpoint, String runId, Map<String, Double> quality)
      throws IOException {
    try (TrainedGenerator generator = new TrainedGenerator(checkpoint)) {
      GeneratorWeights weights = generator.weights();
      byte[] onnx = GeneratorExporter.toOnnx(weights, metadata(checkpoint));
      ExportCheck.Result check =
          ExportCheck.check(onnx, weights.shape(), weights.latentSize(), generator::images);
      log.info(
          "the export agrees with the network: at most {} apart in float, {} in grey levels",
          "%.1e".formatted(check.maxDifference()),
          check.maxPixelDifference());
      Optional<ModelBundle> before = publishedBefore(onnx, runId);
      if (before.isPresent()) {
        log.info("{} is this generator already", before.get());
        return before.get();
      }
      ModelManifest manifest =
          manifest(checkpoint, weights, runId, check).putAllQuality(quality).build();
      ModelBundle bundle = repository.publish(manifest, onnx);
      log.info("published {} in {}", bundle, bundle.folder());
      return bundle;
    }
  }

  /** A run that was killed between publishing and taking note of it comes here twice. */
  private Optional<ModelBundle> publishedBefore(byte[] onnx, String runId) throws IOException {
    List<Long> versions = repository.versions(model);
    if (versions.isEmpty()) {
      return Optional.empty();
    }
    try {
      ModelBundle newest = repository.open(model, versions.get(0));
      ModelManifest manifest = newest.manifest();
      boolean same =
          manifest.getOrigin().getRunId().equals(runId)
              && manifest.getModel().getSha256().equals(new Sha256().add(onnx).hex());
      return same ? Optional.of(newest) : Optional.empty();
    } catch (InvalidModelException e) {
      log.debug("the newest version is not valid", e);
      return Optional.empty();
    }
  }

  /** Nothing of when and where: the same run twice gives the same file. */
  private static Map<String, String> metadata(Checkpoint checkpoint) {
    return Map.of(
        "epoch", Integer.toString(checkpoint.epoch()),
        "seed", Long.toUnsignedString(checkpoint.hyperparameters().seed()),
        "dataset_sha256", checkpoint.dataset().sha256());
  }

  private ModelManifest.Builder manifest(
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
        .setPixelTolerance(ExportCheck.PIXEL_TOLERANCE);
  }
}
