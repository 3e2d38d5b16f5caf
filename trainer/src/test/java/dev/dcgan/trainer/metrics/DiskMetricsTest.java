package dev.dcgan.trainer.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskMetricsTest {

  @TempDir private Path folder;

  @Test
  void size_isThatOfTheFileSystem_alsoWhereTheFolderIsStillToCome() throws Exception {
    PrometheusRegistry registry = new PrometheusRegistry();
    DiskMetrics metrics = new DiskMetrics(registry);
    metrics.measure("runs", folder);
    metrics.measure("repository", folder.resolve("not/there"));

    double size = (double) Files.getFileStore(folder).getTotalSpace();
    assertThat(gauge(registry, "trainer_disk_size_bytes").getDataPoints())
        .hasSize(2)
        .allSatisfy(point -> assertThat(point.getValue()).isEqualTo(size));
    assertThat(gauge(registry, "trainer_disk_free_bytes").getDataPoints())
        .extracting(point -> point.getLabels().get("folder"))
        .containsExactlyInAnyOrder("runs", "repository");
    assertThat(gauge(registry, "trainer_disk_free_bytes").getDataPoints())
        .allSatisfy(point -> assertThat(point.getValue()).isBetween(1.0, size));
  }

  private static GaugeSnapshot gauge(PrometheusRegistry registry, String name) {
    return (GaugeSnapshot) registry.scrape(name::equals).stream().findFirst().orElseThrow();
  }
}
