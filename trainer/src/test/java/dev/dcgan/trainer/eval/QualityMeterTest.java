package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDManager;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.eval.QualityReport.Sizes;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.reflect.Field;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QualityMeterTest {

  private static final ImageDataset TRAINING = new DigitsDataset(1_000, 1);
  private static final ImageDataset HELD_OUT = new DigitsDataset(600, 2);
  private static final Sizes SIZES = new Sizes(500, 600, 300, 1_000);
  private static final Sizes MANY = new Sizes(1_000, 600, 300, 1_000);
  private static final int BYTES = 28 * 28;

  @TempDir static Path cache;

  private static Classifier classifier;
  private static QualityMeter meter;

  @BeforeAll
  static void takeInTheReals() throws IOException {
    classifier =
        Classifier.open(cache, TRAINING, HELD_OUT, TrainingDevice.select("cpu"), 40, () -> {});
    meter = new QualityMeter(TRAINING, HELD_OUT, classifier, SIZES, () -> {});
  }

  @AfterAll
  static void close() {
    classifier.close();
  }

  @Test
  void measure_ofOtherRealImages_isNearTheBaseline() throws IOException {
    QualityReport report = meter.measure(source(new DigitsDataset(500, 3)));

    assertThat(report.generated().frechetDistance())
        .isCloseTo(
            report.baseline().frechetDistance(), within(report.baseline().frechetDistance()));
    assertThat(report.generated().precision())
        .isCloseTo(report.baseline().precision(), within(0.1));
    assertThat(report.generated().recall()).isCloseTo(report.baseline().recall(), within(0.1));
    assertThat(report.nearestRatio()).isBetween(0.85, 1.15);
    assertThat(report.metrics())
        .containsEntry("modes_covered", 10.0)
        .containsEntry("classes", 10.0)
        .containsEntry("feature_count", 128.0)
        .containsEntry("held_out_is_training", 0.0)
        .containsEntry("reliable", 1.0);
    assertThat(report.warnings()).isEmpty();
    assertThat(report.toString()).contains("not comparable with Inception FID");
    assertThat(report.metrics().get("class_kl")).isBetween(0.0, 0.05);
  }

  @Test
  void measure_againstFewTrainingImages_saysThatItMeansLittle() throws IOException {
    ImageDataset few = new DigitsDataset(100, 1);

    QualityReport report =
        new QualityMeter(few, few, classifier, SIZES, () -> {})
            .measure(source(new DigitsDataset(500, 3)));

    assertThat(report.metrics())
        .containsEntry("held_out_is_training", 1.0)
        .containsEntry("requested_images", 500.0)
        .containsEntry("reliable", 0.0);
    assertThat(report.warnings()).hasSize(4);
  }

  @Test
  void measure_ofOneDigitAlone_showsTheCollapse() throws IOException {
    ImageDataset others = new DigitsDataset(500, 3);

    QualityReport report =
        meter.measure((first, n) -> ImageBatches.pixels(others, new int[n], 0, n)); // n zeros

    assertThat(report.generated().frechetDistance())
        .isGreaterThan(20 * report.baseline().frechetDistance());
    assertThat(report.generated().recall()).isLessThan(0.02);
    assertThat(report.baseline().recall()).isGreaterThan(0.5);
    assertThat(report.metrics()).containsEntry("modes_covered", 1.0);
    assertThat(report.metrics().get("class_kl")).isCloseTo(Math.log(10), within(0.01));
  }

  @Test
  void measure_ofTrainingImages_showsMemorization() throws IOException {
    QualityReport report = meter.measure(source(TRAINING));

    assertThat(report.nearestRatio()).isLessThan(0.01);
    assertThat(report.generated().precision())
        .isCloseTo(report.baseline().precision(), within(0.1));
  }

  @Test
  void measure_ofNoise_isFarOff() throws IOException {
    QualityReport report =
        meter.measure(
            (first, n) -> {
              byte[] pixels = new byte[n * BYTES];
              new Random(first).nextBytes(pixels);
              return pixels;
            });

    assertThat(report.generated().frechetDistance())
        .isGreaterThan(20 * report.baseline().frechetDistance());
    assertThat(report.generated().recall()).isLessThan(0.02);
  }

  @Test
  void measure_onAnInterruptedThread_breaksOff_beforeTheNextBatch() {
    List<Long> requested = new ArrayList<>();

    try {
      assertThatThrownBy(
              () ->
                  new QualityMeter(TRAINING, HELD_OUT, new Corners(), MANY, () -> {})
                      .measure(
                          (first, n) -> {
                            requested.add(first);
                            Thread.currentThread().interrupt();
                            return new byte[n * BYTES];
                          }))
          .isInstanceOf(InterruptedIOException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }

    assertThat(requested).as("the first of two batches").containsExactly(0L);
  }

  @Test
  void everyBatch_isToldOf_realAndGenerated() throws IOException {
    AtomicInteger calls = new AtomicInteger();

    QualityMeter meter =
        new QualityMeter(TRAINING, HELD_OUT, new Corners(), MANY, calls::incrementAndGet);
    assertThat(calls).as("600 held-out images and 1,000 others, by 510").hasValue(2 + 2);
    meter.measure((first, n) -> new byte[n * BYTES]);

    assertThat(calls).hasValue(2 + 2 + 2);
  }

  @Test
  void measure_again_givesTheSame() throws IOException {
    PixelSource source = source(new DigitsDataset(500, 3));

    assertThat(meter.measure(source).metrics()).isEqualTo(meter.measure(source).metrics());
  }

  @Test
  void measure_statesItsCountsAndItsFeatures() throws IOException {
    QualityReport report = meter.measure(source(new DigitsDataset(500, 3)));

    assertThat(report.metrics())
        .containsEntry("images", 500.0)
        .containsEntry("held_out_images", 600.0)
        .containsEntry("manifold_images", 300.0)
        .containsEntry("training_images", 1000.0)
        .containsEntry("classifier_accuracy", classifier.accuracy().getAsDouble())
        .containsKeys("frechet_distance", "frechet_floor", "precision", "recall", "confidence");
    assertThat(report.toString().lines())
        .first()
        .asString()
        .startsWith("features: classifier of digits, accuracy 9");
    assertThat(report.toString())
        .containsPattern("Frechet distance +\\d+\\.\\d{3} +\\d+\\.\\d{3}  500 against 600 held-out")
        .containsPattern("modes covered +10 +10  of 10")
        .contains("medians of 300 among 1,000; ratio ");
  }

  @Test
  void measure_takesNoMoreThanThereIs() throws IOException {
    ImageDataset few = new DigitsDataset(40, 4);

    QualityReport report =
        new QualityMeter(few, new DigitsDataset(30, 5), classifier, Sizes.STANDARD, () -> {})
            .measure(source(TRAINING));

    assertThat(report.sizes()).isEqualTo(new Sizes(40, 30, 30, 40));
    assertThat(report.metrics().values()).allSatisfy(metric -> assertThat(metric).isFinite());
  }

  @Test
  void measure_byLabel_seesWhatImagesWereMadeFor() throws IOException {
    ImageDataset others = new DigitsDataset(500, 3);
    QualityMeter byLabel =
        new QualityMeter(TRAINING, HELD_OUT, classifier, SIZES, true, () -> {});
    int[] order = ImageBatches.permutation(others.size(), 7);

    QualityReport right = byLabel.measure(source(others), i -> others.label(order[(int) i]));
    QualityReport wrong =
        byLabel.measure(source(others), i -> (others.label(order[(int) i]) + 1) % 10);

    assertThat(right.metrics().get("label_accuracy")).isGreaterThan(0.9);
    assertThat(right.metrics().get("label_accuracy_floor")).isGreaterThan(0.9);
    assertThat(right.metrics().get("class_frechet_distance"))
        .isLessThan(2 * right.metrics().get("class_frechet_floor"));
    assertThat(right.metrics())
        .containsKeys("class_frechet_distance/0", "class_frechet_distance/9");
    assertThat(right.baselineMetrics()).containsKeys("label_accuracy", "class_frechet_distance");
    assertThat(right.toString()).contains("label accuracy", "Frechet by class", "mean of 10");
    assertThat(right.classTable().lines()).hasSize(11);
    assertThat(right.classTable()).contains("50 against 60 held-out");
    assertThat(wrong.metrics().get("label_accuracy")).isLessThan(0.1);
    assertThat(wrong.metrics().get("class_frechet_distance"))
        .isGreaterThan(5 * right.metrics().get("class_frechet_distance"));
    assertThat(wrong.metrics().get("frechet_distance"))
        .isEqualTo(right.metrics().get("frechet_distance"));
    assertThat(byLabel.measure(source(others)).metrics())
        .isEqualTo(meter.measure(source(others)).metrics())
        .doesNotContainKeys("label_accuracy", "class_frechet_distance");
  }

  @Test
  void measure_withoutLabels_hasNoClassMetrics() throws IOException {
    FeatureExtractor corners = new Corners();

    QualityReport report =
        new QualityMeter(
                new Unlabelled(TRAINING), new Unlabelled(HELD_OUT), corners, SIZES, () -> {})
            .measure(source(new DigitsDataset(500, 3)));

    assertThat(report.metrics())
        .containsKeys("frechet_distance", "precision")
        .doesNotContainKeys("class_kl", "modes_covered", "confidence", "classifier_accuracy");
    assertThat(report.toString()).startsWith("features: corners\n").doesNotContain("modes");
  }

  @Test
  void measure_withClassesOfAnother_hasBoth() throws IOException {
    // The classifier stays open: it is every test's.
    FeatureExtractor both = new ClassifiedFeatures(new Corners(), classifier);

    QualityReport report =
        new QualityMeter(TRAINING, HELD_OUT, both, SIZES, () -> {})
            .measure(source(new DigitsDataset(500, 3)));

    assertThat(report.features()).isEqualTo("corners, classes by classifier of digits");
    assertThat(report.metrics())
        .containsEntry("modes_covered", 10.0)
        .containsEntry("classifier_accuracy", classifier.accuracy().getAsDouble());
  }

  @Test
  void measure_leavesNothingBehind() throws Exception {
    PixelSource source = source(new DigitsDataset(500, 3));
    meter.measure(source);
    int before = held();

    meter.measure(source);

    assertThat(before).isPositive();
    assertThat(held()).isEqualTo(before);
  }

  @Test
  void open_leavesNothingBehindOnceClosed() throws Exception {
    int before = held();

    ImageDataset others = new DigitsDataset(100, 9);
    Classifier.open(cache, others, HELD_OUT, TrainingDevice.select("cpu"), 2, () -> {}).close();

    assertThat(held()).isEqualTo(before);
  }

  @Test
  void constructor_withOneImage_refuses() {
    assertThatIOException()
        .isThrownBy(
            () -> new QualityMeter(TRAINING, new DigitsDataset(1, 2), classifier, SIZES, () -> {}))
        .withMessageContaining("1 held-out")
        .withMessageContaining("at least 2");
  }

  private static PixelSource source(ImageDataset data) {
    int[] order = ImageBatches.permutation(data.size(), 7);
    return (first, n) -> ImageBatches.pixels(data, order, (int) first, n);
  }

  private static int held() throws ReflectiveOperationException {
    try (NDManager any = NDManager.newBaseManager()) {
      return held(any.getParentManager());
    }
  }

  /** All that the engine holds from a manager downwards: arrays, and managers with theirs. */
  private static int held(NDManager manager) throws ReflectiveOperationException {
    Field resources = BaseNDManager.class.getDeclaredField("resources");
    resources.setAccessible(true);
    int count = 0;
    for (Object resource : ((Map<?, ?>) resources.get(manager)).values()) {
      count += resource instanceof NDManager below ? 1 + held(below) : 1;
    }
    return count;
  }

  /** The mean brightness of each quarter. */
  private static final class Corners implements FeatureExtractor {

    @Override
    public String name() {
      return "corners";
    }

    @Override
    public Features extract(byte[] pixels, int n, ImageShape shape) {
      float[] features = new float[n * 4];
      for (int i = 0; i < pixels.length; i++) {
        int row = i % BYTES / 28;
        int column = i % 28;
        features[i / BYTES * 4 + row / 14 * 2 + column / 14] += (pixels[i] & 0xFF) / 196f;
      }
      return new Features(new Matrix(n, 4, features), null);
    }

    @Override
    public void close() {}
  }

  private record Unlabelled(ImageDataset data) implements ImageDataset {

    @Override
    public String name() {
      return data.name();
    }

    @Override
    public ImageShape shape() {
      return data.shape();
    }

    @Override
    public int size() {
      return data.size();
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) throws IOException {
      data.copyPixels(index, target, offset);
    }
  }
}
