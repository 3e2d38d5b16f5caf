package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MetricNamesTest {

  @Test
  void inQuery_findsOnlyMetrics() {
    assertThat(
            MetricNames.inQuery(
                """
                histogram_quantile(0.99, sum by (le, pod) (rate(a_seconds_bucket{job="x",b=~"c|d}"}[5m])))
                  * on (namespace, pod) group_left (model) max without (e) (f_info offset 15m)
                  or vector(0) > bool 1e3 unless sum(level:g:rate5m) by (h) and i"""))
        .containsExactly("a_seconds_bucket", "f_info", "i", "level:g:rate5m");
  }

  @Test
  void inQuery_findsMisspelledName() {
    assertThat(MetricNames.inQuery("sum(rate(smapler_images_total{model=\"m\"}[1m]))"))
        .containsExactly("smapler_images_total");
  }

  @Test
  void inText_findsNamesWithOurPrefixes() {
    assertThat(
            MetricNames.inText(
                "name: sampler_queued_images # of `sampler` and trainer_quality_real."))
        .containsExactly("sampler_queued_images", "trainer_quality_real");
  }

  @Test
  void served_findsSamples() {
    assertThat(
            MetricNames.served(
                """
                # HELP a_total Help.
                # TYPE a_total counter
                a_total{b="c"} 1.0
                d 2.0
                """))
        .containsExactly("a_total", "d");
  }
}
