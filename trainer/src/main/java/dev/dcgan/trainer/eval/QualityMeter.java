package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.QualityReport.Sizes;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongToIntFunction;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Computes quality metrics of generators against held-out images.
 *
 * <p>The statistics of the real images are computed once, by the constructor. Only the extractor's
 * thread may use it; it holds no native memory of its own.
 */
final class QualityMeter {

  // Pixel values in one batch: at 28x28, batches of 500 images are twice as fast as of 250.
  private static final int MAX_BATCH_VALUES = 400_000;
  private static final int MIN_BATCH = 32;
  private static final long TRAINING_SEED = 1;
  private static final long HELD_OUT_SEED = 2;

  private final FeatureExtractor extractor;
  private final Runnable onProgress;
  private final ImageShape shape;
  private final Sizes sizes;
  private final QualityReport.Conditions conditions;
  private final double @Nullable [] classDistribution;
  private final FrechetDistance frechet;
  private final Manifold heldOutManifold;
  private final NearestNeighbors neighbors;
  private final @Nullable LabelMeter labels;
  private final @Nullable LabelMetrics realLabels;
  private final QualityReport.Metrics baseline;

  /** As the other constructor, for generators without classes. */
  QualityMeter(
      ImageDataset training,
      ImageDataset heldOut,
      FeatureExtractor extractor,
      Sizes maxSizes,
      Runnable onProgress)
      throws IOException {
    this(training, heldOut, extractor, maxSizes, false, onProgress);
  }

  /**
   * Computes the statistics of the real images.
   *
   * @param extractor closed by the caller, after this meter's last use
   * @param byLabel whether generators are conditional: their images are measured by label too
   * @param onProgress called for each batch of features
   * @throws IOException if there are fewer than two images of a kind, their shapes differ, or they
   *     cannot be read
   */
  QualityMeter(
      ImageDataset training,
      ImageDataset heldOut,
      FeatureExtractor extractor,
      Sizes maxSizes,
      boolean byLabel,
      Runnable onProgress)
      throws IOException {
    if (training.size() < 2 || heldOut.size() < 2) {
      throw new IOException(
          "cannot evaluate with %d training images of %s and %d held-out images; expected at least 2 of each"
              .formatted(training.size(), training.name(), heldOut.size()));
    }
    if (!training.shape().equals(heldOut.shape())) {
      throw new IOException(
          "cannot evaluate: %s has images of %s; expected held-out images of the same, not of %s"
              .formatted(training.name(), training.shape(), heldOut.shape()));
    }
    this.extractor = extractor;
    this.onProgress = onProgress;
    shape = training.shape();
    sizes = maxSizes.within(training, heldOut);
    classDistribution = training.classes() > 0 ? classDistribution(training) : null;

    Features heldOutFeatures = extract(reader(heldOut, HELD_OUT_SEED), sizes.heldOut());
    Features trainingFeatures =
        extract(reader(training, TRAINING_SEED), Math.max(sizes.training(), sizes.images()));
    conditions =
        new QualityReport.Conditions(
            heldOutFeatures.values().columns(),
            maxSizes.images(),
            training == heldOut,
            classDistribution == null
                ? Double.NaN
                : Arrays.stream(classDistribution).max().orElseThrow());
    frechet = new FrechetDistance(Gaussian.of(heldOutFeatures.values()));
    heldOutManifold = new Manifold(heldOutFeatures.values().first(sizes.manifold()));
    neighbors = new NearestNeighbors(trainingFeatures.values().first(sizes.training()));
    // The nearest training image of a training image is itself: the baseline takes held-out images.
    Features real = trainingFeatures.first(sizes.images());
    baseline = metrics(real, heldOutFeatures.values());
    labels =
        byLabel
            ? new LabelMeter(
                heldOut, heldOutFeatures.values(), labels(heldOut, HELD_OUT_SEED, sizes.heldOut()))
            : null;
    realLabels =
        labels == null
            ? null
            : labels.measure(real, labels(training, TRAINING_SEED, sizes.images()));
  }

  /**
   * Computes the metrics of the first images of a generator without classes.
   *
   * @throws IOException see the other method
   */
  QualityReport measure(PixelSource source) throws IOException {
    return measure(source, null);
  }

  /**
   * Computes the metrics of a generator's first images.
   *
   * @param labelOf the label that an image was made for, by its index; null without classes
   * @throws InterruptedIOException if the thread is interrupted
   * @throws IOException if the generator or the extractor fails
   */
  QualityReport measure(PixelSource source, @Nullable LongToIntFunction labelOf)
      throws IOException {
    Features generated = extract(source, sizes.images());
    return new QualityReport(
        extractor.name(),
        extractor.accuracy(),
        classDistribution == null ? 0 : classDistribution.length,
        sizes,
        conditions,
        metrics(generated, generated.values()),
        baseline,
        labels == null || labelOf == null
            ? null
            : labels.measure(
                generated, LongStream.range(0, sizes.images()).mapToInt(labelOf).toArray()),
        labelOf == null ? null : realLabels);
  }

  /**
   * Computes the metrics of images.
   *
   * @param queries the features whose nearest training images are searched
   */
  private QualityReport.Metrics metrics(Features images, Matrix queries) {
    Matrix sample = images.values().first(sizes.manifold());
    Matrix probabilities = images.probabilities();
    return new QualityReport.Metrics(
        frechet.to(Gaussian.of(images.values())),
        heldOutManifold.fractionInside(sample),
        new Manifold(sample).fractionInside(heldOutManifold.points()),
        neighbors.medianDistance(queries.first(sizes.manifold())),
        probabilities == null || classDistribution == null
            ? null
            : ClassMetrics.of(probabilities, classDistribution));
  }

  private Features extract(PixelSource source, int count) throws IOException {
    List<Matrix> values = new ArrayList<>();
    List<Matrix> probabilities = new ArrayList<>();
    int batchSize = Math.max(MIN_BATCH, MAX_BATCH_VALUES / shape.values());
    for (int first = 0; first < count; first += batchSize) {
      // Generators do not check for interrupts.
      ImageBatches.requireUninterrupted();
      int n = Math.min(batchSize, count - first);
      Features batch = extractor.extract(source.pixels(first, n), n, shape);
      onProgress.run();
      values.add(batch.values());
      if (batch.probabilities() != null) {
        probabilities.add(batch.probabilities());
      }
    }
    return new Features(
        Matrix.stack(values), probabilities.isEmpty() ? null : Matrix.stack(probabilities));
  }

  private static PixelSource reader(ImageDataset data, long seed) {
    int[] order = ImageBatches.permutation(data.size(), seed);
    return (first, n) -> ImageBatches.pixels(data, order, (int) first, n);
  }

  /** The labels of the first images that {@link #reader} reads. */
  private static int[] labels(ImageDataset data, long seed, int count) {
    return Arrays.stream(ImageBatches.permutation(data.size(), seed))
        .limit(count)
        .map(data::label)
        .toArray();
  }

  /** The class distribution of the labels; one image is added to each class, so that none is 0. */
  private static double[] classDistribution(ImageDataset data) {
    double[] shares = new double[data.classes()];
    Arrays.fill(shares, 1);
    for (int i = 0; i < data.size(); i++) {
      shares[data.label(i)]++;
    }
    double total = (double) data.size() + shares.length;
    Arrays.setAll(shares, c -> shares[c] / total);
    return shares;
  }
}
