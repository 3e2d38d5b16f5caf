package dev.dcgan.trainer.publish;

import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.TrainingBudget;
import dev.dcgan.trainer.eval.QualityWarnings;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.onnx.ExportCheck;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import dev.dcgan.trainer.publish.CheckpointPublisher.Reuse;
import dev.dcgan.trainer.train.TrainedGenerator;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.TrainingOrigin;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Exports a checkpoint's generator, checks the export against the network and publishes it. */
final class ModelPublisher {

  private static final Logger log = LoggerFactory.getLogger(ModelPublisher.class);

  private final ModelRepository repository;

  ModelPublisher(ModelRepository repository) {
    this.repository = repository;
  }

  /**
   * Publishes the generator as the next version of the model, or finds the version that this run
   * has published with the same bytes.
   *
   * @throws IOException the export differs from the network, or the repository cannot be written;
   *     nothing was published
   */
  ModelVersion publish(Checkpoint checkpoint, String model, Run run, Reuse reuse)
      throws IOException {
    try (TrainedGenerator generator = new TrainedGenerator(checkpoint)) {
      GeneratorWeights weights = generator.weights();
      byte[] onnx = GeneratorExporter.toOnnx(weights, metadata(checkpoint));
      ExportCheck.Result check =
          ExportCheck.check(
              onnx,
              weights.shape(),
              weights.latentSize(),
              checkpoint.dataset().classes(),
              generator::images);
      log.info(
          "the exported model agrees with the network: the largest difference is {} in float and {}"
              + " in grey levels",
          "%.1e".formatted(check.maxDifference()),
          check.maxPixelDifference());
      Optional<ModelBundle> earlier = published(model, onnx, run.getId(), reuse);
      if (earlier.isPresent()) {
        log.info("{} is this generator already", earlier.get());
        return earlier.get().manifest().getModel();
      }
      ModelBundle bundle =
          repository.publish(manifest(checkpoint, weights, model, run, check), onnx);
      log.info("published {} in {}", bundle, bundle.folder());
      return bundle.manifest().getModel();
    }
  }

  /** The version of these bytes; a run that could not record it comes here twice. */
  private Optional<ModelBundle> published(String model, byte[] onnx, String runId, Reuse reuse)
      throws IOException {
    String sha256 = new Sha256().add(onnx).hex();
    List<Long> versions = repository.versions(model); // The newest first.
    int count = reuse == Reuse.ANY ? versions.size() : Math.min(1, versions.size());
    for (long version : versions.subList(0, count)) {
      try {
        ModelManifest manifest = repository.describe(model, version).manifest();
        if (manifest.getOrigin().getRunId().equals(runId)
            && manifest.getModel().getSha256().equals(sha256)) {
          return Optional.of(repository.open(model, version));
        }
      } catch (IOException e) {
        // A version that is damaged or being removed is not the one that this run published.
        log.debug("{}/{} cannot be read", model, version, e);
      }
    }
    return Optional.empty();
  }

  /** Neither time nor place: the same run gives the same bytes. */
  private static Map<String, String> metadata(Checkpoint checkpoint) {
    return Map.of(
        "epoch", Integer.toString(checkpoint.epoch()),
        "seed", Long.toUnsignedString(checkpoint.hyperparameters().seed()),
        "dataset_sha256", checkpoint.dataset().sha256());
  }

  private static ModelManifest manifest(
      Checkpoint checkpoint,
      GeneratorWeights weights,
      String model,
      Run run,
      ExportCheck.Result check) {
    ImageClasses classes = checkpoint.dataset().classes();
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
                .setRunId(run.getId())
                .setInitializedFrom(run.getInitializedFrom())
                .setEpochs(checkpoint.epoch())
                .setSeed(checkpoint.hyperparameters().seed())
                .setDataset(checkpoint.dataset().name())
                .setDatasetSha256(checkpoint.dataset().sha256())
                .setDatasetImages(checkpoint.dataset().images())
                .setPrecision(checkpoint.hyperparameters().precision().label())
                .setDeterministic(checkpoint.hyperparameters().deterministic()))
        .putQuality("export_max_difference", check.maxDifference())
        .putAllQuality(checkpoint.quality())
        .addAllWarnings(
            TrainingBudget.warnings(
                checkpoint.architecture(),
                checkpoint.hyperparameters(),
                checkpoint.step(),
                checkpoint.dataset().images()))
        .addAllWarnings(QualityWarnings.of(checkpoint.quality()))
        .addAllGolden(check.golden())
        .setPixelTolerance(ExportCheck.PIXEL_TOLERANCE)
        .addAllClasses(classes == null ? List.of() : classes.toProto())
        .setLabelScheme(classes == null ? "" : Labels.SCHEME)
        .build();
  }
}
