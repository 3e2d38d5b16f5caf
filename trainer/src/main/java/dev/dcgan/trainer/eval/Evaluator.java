package dev.dcgan.trainer.eval;

import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Measures generators by a dataset: always with the same latents, so that figures compare. What it
 * needs of the dataset is made when it is first asked. For one thread; holds native memory.
 */
public final class Evaluator implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("evaluate");
  private static final long SEED = 0x7175616c697479L; // "quality"

  private final DatasetSplit pictures;
  private final @Nullable Path features;
  private final int images;
  private final Path cache;
  private final TrainingDevice device;
  private final Runnable progressed;

  // Mutable state
  private @Nullable Diversity diversity;
  private @Nullable FeatureExtractor extractor;
  private @Nullable QualityMeter meter;
  private boolean told;

  private Evaluator(
      DatasetSplit pictures,
      @Nullable Path features,
      int images,
      Path cache,
      TrainingDevice device,
      Runnable progressed) {
    this.pictures = pictures;
    this.features = features;
    this.images = images;
    this.cache = cache;
    this.device = device;
    this.progressed = progressed;
  }

  /**
   * Prepares to measure as a complete config says.
   *
   * @param root what relative paths are relative to
   * @param progressed told of each batch that was measured or learnt from
   */
  public static Evaluator of(
      RunConfig config,
      DatasetSplit pictures,
      Path root,
      Path cache,
      TrainingDevice device,
      Runnable progressed) {
    String features = config.getFeatures();
    return new Evaluator(
        pictures,
        features.isEmpty() ? null : root.resolve(features),
        config.getEvaluationImages(),
        cache,
        device,
        progressed);
  }

  /** Whether there is anything to measure by: labels, or features. */
  public boolean isPossible() {
    return features != null || pictures.training().classes() > 1;
  }

  /**
   * Loads the features' model, where one is given, and lets go of it.
   *
   * @throws IOException it is none: better known before the training than after
   */
  public void checkFeatures() throws IOException {
    if (features != null) {
      OnnxFeatures.open(features).close();
    }
  }

  /** How much a sheet's pictures differ, relative to real ones. */
  public double diversity(List<byte[]> sheet) throws IOException {
    if (diversity == null) {
      diversity = Diversity.of(pictures.training());
    }
    return diversity.relative(sheet);
  }

  /**
   * Measures a generator; empty where {@link #isPossible} says no.
   *
   * @throws IOException the features' model does not run, or pictures cannot be read
   */
  public Optional<QualityReport> measure(ImageGenerator<byte[]> generator, int latentSize)
      throws IOException {
    if (!isPossible()) {
      if (!told) {
        log.info(
            "{} has no labels: to measure quality, give --features <model.onnx>",
            pictures.training().name());
        told = true;
      }
      return Optional.empty();
    }
    return Optional.of(
        meter().measure((first, n) -> generator.generate(latents(first, n, latentSize), n)));
  }

  private QualityMeter meter() throws IOException {
    if (meter == null) {
      extractor = extractor();
      QualityMeter.Sizes standard = QualityMeter.Sizes.STANDARD;
      meter =
          new QualityMeter(
              pictures.training(),
              pictures.heldOut(),
              extractor,
              new QualityMeter.Sizes(
                  images, standard.heldOut(), standard.manifold(), standard.training()),
              progressed);
    }
    return meter;
  }

  private FeatureExtractor extractor() throws IOException {
    if (features == null) {
      return classifier();
    }
    OnnxFeatures given = OnnxFeatures.open(features);
    if (pictures.training().classes() < 2) {
      return given;
    }
    try {
      return given.withClasses(classifier());
    } catch (IOException | RuntimeException e) {
      given.close();
      throw e;
    }
  }

  private Classifier classifier() throws IOException {
    return Classifier.open(cache, pictures.training(), pictures.heldOut(), device, progressed);
  }

  private static float[] latents(long first, int n, int size) {
    float[] z = new float[n * size];
    for (int i = 0; i < n; i++) {
      Latents.fill(SEED, first + i, z, i * size, size);
    }
    return z;
  }

  @Override
  public void close() {
    if (extractor != null) {
      extractor.close();
    }
  }
}
