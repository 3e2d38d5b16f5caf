package dev.dcgan.trainer.publish;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.onnx.ExportCheck;
import dev.dcgan.trainer.onnx.GeneratorExporter;
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
public final class ModelPublisher {

  private static final Logger log = LoggerFactory.getLogger("publish");

  private final ModelRepository repository;
  private final String model;

  public ModelPublisher(ModelRepository repository, String model) {
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
  public ModelBundle publish(Checkpoint checkpoint, String runId, Map<String, Double> quality)
      throws IOException {
    List<Long> versions = repository.versions(model);
    return publish(checkpoint, runId, quality, versions.subList(0, Math.min(1, versions.size())));
  }

  /**
   * As {@link #publish}; where this run has published these bytes at all, that version stands,
   * whatever others published since. For a run, which may come to the same point twice; who asks
   * for an older model's return gets it as a new version.
   */
  public ModelBundle publishOnce(Checkpoint checkpoint, String runId, Map<String, Double> quality)
      throws IOException {
    return publish(checkpoint, runId, quality, repository.versions(model));
  }

  /** Publishes, where none of the versions is this run's with the same bytes. */
  private ModelBundle publish(
      Checkpoint checkpoint, String runId, Map<String, Double> quality, List<Long> versions)
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
      Optional<ModelBundle> before = publishedBefore(onnx, runId, versions);
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

  /** A run that could take no note of what it published comes here twice. */
  private Optional<ModelBundle> publishedBefore(byte[] onnx, String runId, List<Long> versions)
      throws IOException {
    String sha256 = new Sha256().add(onnx).hex();
    for (long version : versions) {
      try {
        ModelManifest manifest = repository.describe(model, version).manifest();
        if (manifest.getOrigin().getRunId().equals(runId)
            && manifest.getModel().getSha256().equals(sha256)) {
          return Optional.of(repository.open(model, version));
        }
      } catch (IOException e) {
        // Whatever is wrong with it, or being removed, is not what this run published.
        log.debug("{}/{} cannot be read", model, version, e);
      }
    }
    return Optional.empty();
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
        .setLatentScheme(Latents.SCHEME)
        .setPixelQuantization(ModelBundle.PIXEL_QUANTIZATION)
        .setOrigin(
            TrainingOrigin.newBuilder()
                .setRunId(runId)
                .setEpochs(checkpoint.epoch())
                .setSeed(checkpoint.hyperparameters().seed())
                .setDataset(checkpoint.dataset().name())
                .setDatasetSha256(checkpoint.dataset().sha256())
                .setDatasetImages(checkpoint.dataset().images())
                .setPrecision(checkpoint.hyperparameters().precision().label())
                .setDeterministic(checkpoint.hyperparameters().deterministic()))
        .putQuality("export_max_difference", check.maxDifference())
        .addAllGolden(check.golden())
        .setPixelTolerance(ExportCheck.PIXEL_TOLERANCE);
  }
}
