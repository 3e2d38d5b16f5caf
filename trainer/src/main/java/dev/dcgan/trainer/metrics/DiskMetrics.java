package dev.dcgan.trainer.metrics;

import dev.dcgan.server.Threads;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * The size of the disks that the trainer writes to. Thread-safe.
 *
 * <p>A daemon thread per folder measures it, so that a network file system that hangs keeps its
 * last value and delays neither a scrape nor the other folders.
 */
public final class DiskMetrics {

  private static final int INTERVAL_SECONDS = 15; // The usual interval of scrapes.

  private final Gauge free;
  private final Gauge size;

  DiskMetrics(PrometheusRegistry registry) {
    free = gauge(registry, "trainer_disk_free_bytes", "Free space of the folder's file system.");
    size = gauge(registry, "trainer_disk_size_bytes", "Size of the folder's file system.");
  }

  /**
   * Registers the metrics and starts to measure.
   *
   * @param folders by their label; one that does not exist yet counts as its nearest parent
   */
  public static void register(PrometheusRegistry registry, Map<String, Path> folders) {
    DiskMetrics metrics = new DiskMetrics(registry);
    folders.forEach(
        (label, folder) -> {
          var unused =
              Executors.newSingleThreadScheduledExecutor(Threads.named("disk-" + label))
                  .scheduleWithFixedDelay(
                      () -> metrics.measure(label, folder), 0, INTERVAL_SECONDS, TimeUnit.SECONDS);
        });
  }

  /** Measures once; blocks as long as the disk does. */
  void measure(String label, Path folder) {
    try {
      FileStore store = Files.getFileStore(existing(folder));
      double total = (double) store.getTotalSpace();
      free.labelValues(label).set((double) store.getUsableSpace());
      size.labelValues(label).set(total);
    } catch (IOException e) {
      // A disk that fails has no value.
      free.remove(label);
      size.remove(label);
    }
  }

  private static Gauge gauge(PrometheusRegistry registry, String name, String help) {
    return Gauge.builder()
        .name(name)
        .help(help)
        .unit(Unit.BYTES)
        .labelNames("folder")
        .register(registry);
  }

  private static Path existing(Path folder) {
    Path path = folder.toAbsolutePath();
    while (Files.notExists(path) && path.getParent() != null) {
      path = path.getParent();
    }
    return path;
  }
}
