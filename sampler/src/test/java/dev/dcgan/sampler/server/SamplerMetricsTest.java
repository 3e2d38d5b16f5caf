package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.scheduling.BatchListener;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class SamplerMetricsTest {

  @Test
  void executions_areToldApartByTheirSize_roundedUpToAPowerOfTwo() throws IOException {
    PrometheusRegistry registry = new PrometheusRegistry();
    BatchListener batches = new SamplerMetrics(registry).batches("digits");
    for (int computed : new int[] {1, 2, 3, 4, 5}) {
      batches.executed(1, computed, 1000);
    }

    ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrometheusTextFormatWriter.builder().build().write(text, registry.scrape());
    assertThat(text.toString(StandardCharsets.UTF_8))
        .contains(
            "sampler_execution_seconds_count{bucket=\"1\",model=\"digits\"} 1\n",
            "sampler_execution_seconds_count{bucket=\"2\",model=\"digits\"} 1\n",
            "sampler_execution_seconds_count{bucket=\"4\",model=\"digits\"} 2\n",
            "sampler_execution_seconds_count{bucket=\"8\",model=\"digits\"} 1\n",
            "sampler_batch_size_count{model=\"digits\"} 5\n",
            "sampler_padding_images_total{model=\"digits\"} 10.0\n");
  }
}
