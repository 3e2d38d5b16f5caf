package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QualityWarningsTest {

  private static final Map<String, Double> GOOD =
      Map.of(
          "images", 5_000.0,
          "requested_images", 5_000.0,
          "held_out_images", 600.0,
          "manifold_images", 600.0,
          "feature_count", 128.0,
          "held_out_is_training", 0.0,
          "classifier_accuracy", 0.9,
          "largest_class", 0.1,
          "sample_diversity", 0.9);

  @Test
  void enoughImages_andAGoodClassifier_warnOfNothing() {
    assertThat(QualityWarnings.of(GOOD)).isEmpty();
    assertThat(QualityWarnings.areReliable(GOOD)).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    "held_out_images, 128, 128 held-out, false",
    "images, 100, 100 generated, false",
    "images, 4500, 4500 generated images instead of 5000, true",
    "manifold_images, 60, 60 images, false",
    "classifier_accuracy, 0.3, right on 30.0 %, false",
    "largest_class, 0.88, largest class has 88.0 %, false",
    "held_out_is_training, 1, --held-out 0, false",
    "sample_diversity, 0.05, relative diversity 0.05, true",
  })
  void eachLimit_isNamedWithItsNumber(
      String metric, double value, String expected, boolean isReliable) {
    Map<String, Double> metrics = new HashMap<>(GOOD);
    metrics.put(metric, value);

    assertThat(QualityWarnings.of(metrics)).anySatisfy(line -> assertThat(line).contains(expected));
    assertThat(QualityWarnings.areReliable(metrics)).isEqualTo(isReliable);
  }

  @Test
  void classesOfAnUnmeasuredClassifier_areUnreliable() {
    Map<String, Double> metrics = new HashMap<>(GOOD);
    metrics.put("classes", 2.0);
    assertThat(QualityWarnings.of(metrics)).isEmpty();

    metrics.remove("classifier_accuracy");

    assertThat(QualityWarnings.of(metrics))
        .singleElement()
        .asString()
        .contains("accuracy of the evaluation classifier is unknown", "no held-out image");
    assertThat(QualityWarnings.areReliable(metrics)).isFalse();
  }

  @Test
  void metricsOfOlderCheckpoints_areNotJudged() {
    assertThat(QualityWarnings.of(Map.of("frechet_distance", 3.0))).isEmpty();
  }
}
