package dev.dcgan.trainer.session;

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
 * How much room there is where the trainer writes. Thread-safe.
 *
 * <p>Each folder is asked by a thread of its own, which dies with the process: a network's disk
 * that hangs keeps its last figure, and holds up neither a scrape nor the others' figures.
 */
public final class DiskMetrics {

  private static final int SECONDS = 15; // Between two questions: a scrape's usual interval.

  private final Gauge free;
  private final Gauge size;

  DiskMetrics(PrometheusRegistry registry) {
    free = gauge(registry, "trainer_disk_free_bytes", "Room left on the folder's file system.");
    size = gauge(registry, "trainer_disk_size_bytes", "Size of the folder's file system.");
  }

  /**
   * Registers them, and measures from now on.
   *
   * @param folders by the name that they have in the metrics; one that is not there yet counts as
   *     the nearest folder above it
   */
  public static void register(PrometheusRegistry registry, Map<String, Path> folders) {
    DiskMetrics metrics = new DiskMetrics(registry);
    folders.forEach(
        (label, folder) -> {
          var unused =
              Executors.newSingleThreadScheduledExecutor(Threads.named("disk-" + label))
                  .scheduleWithFixedDelay(
                      () -> metrics.measure(label, folder), 0, SECONDS, TimeUnit.SECONDS);
        });
  }

  /** Waits for the disk. */
  void measure(String label, Path folder) {
    try {
      FileStore store = Files.getFileStore(existing(folder));
      double total = (double) store.getTotalSpace();
      free.labelValues(label).set((double) store.getUsableSpace());
      size.labelValues(label).set(total);
    } catch (IOException e) {
      // A disk that answers with an error has no figure.
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
