package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Measures generators against pictures that they have not seen.
 *
 * <p>What it needs of the real pictures is computed once, here; then every measure takes the
 * generated images alone. For the extractor's thread; it holds no native memory of its own.
 */
public final class QualityMeter {

  /**
   * How many pictures the figures are made of, at most: fewer where the data has fewer.
   *
   * @param images generated, and as many training pictures for the floor
   * @param heldOut real ones that both are compared with
   * @param manifold of each kind, for precision, recall and nearest neighbours, whose work grows
   *     with its square
   * @param training pictures among which nearest neighbours are searched
   */
  public record Sizes(int images, int heldOut, int manifold, int training) {

    /** 5,000 images against 10,000 held-out; 2,000 for neighbours, among 60,000. */
    public static final Sizes STANDARD = new Sizes(5_000, 10_000, 2_000, 60_000);

    public Sizes {
      if (Math.min(Math.min(images, heldOut), Math.min(manifold, training)) < 2) {
        throw new IllegalArgumentException(
            "%d images, %d held-out, %d for the manifold, %d training; expected at least 2 of each"
                .formatted(images, heldOut, manifold, training));
      }
    }

    private Sizes within(ImageDataset training, ImageDataset heldOut) {
      return new Sizes(
          Math.min(images, training.size()),
          Math.min(this.heldOut, heldOut.size()),
          Math.min(manifold, Math.min(training.size(), heldOut.size())),
          Math.min(this.training, training.size()));
    }
  }

  // Values of the pictures in one batch: at 28x28, 500 pictures are twice as fast as 250.
  private static final int BATCH_VALUES = 400_000;
  private static final int MIN_BATCH = 32;
  private static final long TRAINING_ORDER = 1;
  private static final long HELD_OUT_ORDER = 2;

  private final FeatureExtractor extractor;
  private final Runnable progressed;
  private final ImageShape shape;
  private final Sizes sizes;
  private final double @Nullable [] classShares;
  private final FrechetDistance frechet;
  private final Manifold heldOutManifold;
  private final NearestNeighbours neighbours;
  private final QualityReport.Figures floor;

  /**
   * Takes in the real pictures.
   *
   * @param extractor stays the caller's to close
   * @param progressed told of each batch, real or generated, that went through the extractor
   * @throws IOException fewer than two pictures of a kind, shapes that differ, or pictures that
   *     cannot be read
   */
  public QualityMeter(
      ImageDataset training,
      ImageDataset heldOut,
      FeatureExtractor extractor,
      Sizes atMost,
      Runnable progressed)
      throws IOException {
    if (training.size() < 2 || heldOut.size() < 2) {
      throw new IOException(
          "%d training pictures of %s and %d held-out ones; evaluation takes at least 2 of each"
              .formatted(training.size(), training.name(), heldOut.size()));
    }
    if (!training.shape().equals(heldOut.shape())) {
      throw new IOException(
          "%s has pictures of %s, the held-out ones are of %s"
              .formatted(training.name(), training.shape(), heldOut.shape()));
    }
    this.extractor = extractor;
    this.progressed = progressed;
    shape = training.shape();
    sizes = atMost.within(training, heldOut);
    classShares = training.classes() > 0 ? shares(training) : null;

    Features held = extract(reader(heldOut, HELD_OUT_ORDER), sizes.heldOut);
    Features train =
        extract(reader(training, TRAINING_ORDER), Math.max(sizes.training, sizes.images));
    frechet = new FrechetDistance(Gaussian.of(held.values()));
    heldOutManifold = new Manifold(held.values().first(sizes.manifold));
    neighbours = new NearestNeighbours(train.values().first(sizes.training));
    // The nearest training picture of a training picture is itself: there the held-out ones stand.
    floor = figures(train.first(sizes.images), held.values());
  }

  /**
   * Measures a generator's first images.
   *
   * @throws InterruptedIOException the thread is interrupted
   * @throws IOException they cannot be made, or the extractor does not run
   */
  public QualityReport measure(PixelSource source) throws IOException {
    Features generated = extract(source, sizes.images);
    return new QualityReport(
        extractor.name(),
        extractor.accuracy(),
        classShares == null ? 0 : classShares.length,
        sizes,
        figures(generated, generated.values()),
        floor);
  }

  /** The figures of pictures, with those whose nearest training pictures are to be found. */
  private QualityReport.Figures figures(Features pictures, Matrix searched) {
    Matrix sample = pictures.values().first(sizes.manifold);
    Matrix probabilities = pictures.probabilities();
    return new QualityReport.Figures(
        frechet.to(Gaussian.of(pictures.values())),
        heldOutManifold.share(sample),
        new Manifold(sample).share(heldOutManifold.points()),
        neighbours.medianDistance(searched.first(sizes.manifold)),
        probabilities == null || classShares == null
            ? null
            : ClassFigures.of(probabilities, classShares));
  }

  private Features extract(PixelSource source, int count) throws IOException {
    List<Matrix> values = new ArrayList<>();
    List<Matrix> probabilities = new ArrayList<>();
    int most = Math.max(MIN_BATCH, BATCH_VALUES / shape.values());
    for (int first = 0; first < count; first += most) {
      // Here too: a generator does not look.
      PixelBlocks.requireUninterrupted();
      int n = Math.min(most, count - first);
      Features batch = extractor.extract(source.pixels(first, n), n, shape);
      progressed.run();
      values.add(batch.values());
      if (batch.probabilities() != null) {
        probabilities.add(batch.probabilities());
      }
    }
    return new Features(
        Matrix.stack(values), probabilities.isEmpty() ? null : Matrix.stack(probabilities));
  }

  private static PixelSource reader(ImageDataset data, long seed) {
    int[] order = PixelBlocks.order(data.size(), seed);
    return (first, n) -> PixelBlocks.pixels(data, order, (int) first, n);
  }

  /** Each class's share of the labels; one more is counted of each, so that none is 0. */
  private static double[] shares(ImageDataset data) {
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
