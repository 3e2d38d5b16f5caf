package dev.dcgan.trainer.eval;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates generators against a dataset, always with the same latents, so that metrics are
 * comparable.
 *
 * <p>Statistics of the dataset are computed on first use. Only one thread may use it; it holds
 * native memory.
 */
public final class Evaluator implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Evaluator.class);
  private static final long SEED = 0x7175616c697479L; // "quality"

  private static final int CHECKED_IMAGES = 8;

  private final DatasetSplit data;
  private final @Nullable Path features;
  private final String featuresRange;
  private final int imageCount;
  private final Path cache;
  private final TrainingDevice device;
  private final Runnable onProgress;
  private final Diversity diversity;

  // Mutable state
  private @Nullable FeatureExtractor extractor;
  private @Nullable QualityMeter meter;
  private boolean loggedImpossible;

  private Evaluator(
      DatasetSplit data,
      @Nullable Path features,
      String featuresRange,
      int imageCount,
      Path cache,
      TrainingDevice device,
      Runnable onProgress) {
    this.data = data;
    this.features = features;
    this.featuresRange = featuresRange;
    this.imageCount = imageCount;
    this.cache = cache;
    this.device = device;
    this.onProgress = onProgress;
    diversity = new Diversity(data.training());
  }

  /**
   * Creates an evaluator for a complete config.
   *
   * @param root the folder that the config's relative paths are resolved against
   * @param onProgress called for each batch of features and of the classifier's training
   */
  public static Evaluator of(
      RunConfig config,
      DatasetSplit data,
      Path root,
      Path cache,
      TrainingDevice device,
      Runnable onProgress) {
    String features = config.getFeatures();
    return new Evaluator(
        data,
        features.isEmpty() ? null : root.resolve(features),
        config.getFeaturesRange(),
        config.getEvaluationImages(),
        cache,
        device,
        onProgress);
  }

  /** Whether evaluation is possible: it needs labels or a feature model. */
  public boolean isPossible() {
    return features != null || data.training().classes() > 1;
  }

  /**
   * Loads the feature model, if there is one, runs it on a few training images, logs how it was
   * understood, and closes it again.
   *
   * @throws IOException if it cannot be used: better known before training than after
   */
  public void checkFeatures() throws IOException {
    if (features == null) {
      return;
    }
    ImageDataset images = data.training();
    int n = Math.min(CHECKED_IMAGES, images.size());
    byte[] pixels =
        ImageBatches.pixels(images, ImageBatches.permutation(images.size(), SEED), 0, n);
    try (OnnxFeatures model = OnnxFeatures.open(features, featuresRange)) {
      log.info(model.check(pixels, n, images.shape()));
    }
  }

  /**
   * The diversity of a sample grid's images relative to real images; with classes the lowest within
   * a class.
   *
   * @param labels of the images; empty without classes
   */
  public double diversity(List<byte[]> samples, int[] labels) throws IOException {
    return diversity.relative(samples, labels);
  }

  /**
   * Evaluates a generator; empty if that is not {@linkplain #isPossible possible}. Further calls
   * must be for generators of the same classes.
   *
   * @param classes of a conditional generator; null if it is not conditional
   * @throws IOException if the feature model fails or images cannot be read
   */
  public Optional<QualityReport> measure(
      ImageGenerator<byte[]> generator, int latentSize, @Nullable ImageClasses classes)
      throws IOException {
    if (!isPossible()) {
      if (!loggedImpossible) {
        log.info(
            "quality is not evaluated: {} has no labels; use --features <model.onnx>",
            data.training().name());
        loggedImpossible = true;
      }
      return Optional.empty();
    }
    int[] positions = classes == null ? new int[0] : positions(classes);
    return Optional.of(
        meter(positions.length > 0)
            .measure(
                (first, n) ->
                    generator.generate(latents(first, n, latentSize), labels(first, n, classes), n),
                classes == null || positions.length == 0
                    ? null
                    : index -> positions[classes.draw(SEED, index)]));
  }

  /** The dataset's labels of a generator's classes; empty if it lacks one of them. */
  private int[] positions(ImageClasses classes) {
    ImageDataset training = data.training();
    Map<String, Integer> labels = new HashMap<>();
    for (int label = 0; label < training.classes(); label++) {
      labels.put(training.className(label), label);
    }
    int[] positions = new int[classes.size()];
    for (int label = 0; label < positions.length; label++) {
      Integer position = labels.get(classes.name(label));
      if (position == null) {
        log.info(
            "label accuracy is not measured: {} has no class '{}'",
            training.name(),
            classes.name(label));
        return new int[0];
      }
      positions[label] = position;
    }
    return positions;
  }

  /** The labels of the images, which follow the classes' distribution; empty without classes. */
  private static long[] labels(long first, int n, @Nullable ImageClasses classes) {
    return classes == null
        ? new long[0]
        : LongStream.range(first, first + n).map(index -> classes.draw(SEED, index)).toArray();
  }

  private QualityMeter meter(boolean byLabel) throws IOException {
    if (meter == null) {
      extractor = extractor();
      QualityReport.Sizes standard = QualityReport.Sizes.STANDARD;
      meter =
          new QualityMeter(
              data.training(),
              data.heldOut(),
              extractor,
              new QualityReport.Sizes(
                  imageCount, standard.heldOut(), standard.manifold(), standard.training()),
              byLabel,
              onProgress);
    }
    return meter;
  }

  private FeatureExtractor extractor() throws IOException {
    if (features == null) {
      return classifier();
    }
    OnnxFeatures model = OnnxFeatures.open(features, featuresRange);
    if (data.training().classes() < 2) {
      return model;
    }
    try {
      return new ClassifiedFeatures(model, classifier());
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  private Classifier classifier() throws IOException {
    return Classifier.open(cache, data.training(), data.heldOut(), device, onProgress);
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
