package dev.dcgan.trainer;

import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** How much room there is where the trainer writes, asked at each scrape. */
final class DiskMetrics {

  private interface Size {
    long of(FileStore store) throws IOException;
  }

  private DiskMetrics() {}

  /**
   * Registers them.
   *
   * @param folders by the name that they have in the metrics; one that is not there yet counts as
   *     the nearest folder above it
   */
  static void register(PrometheusRegistry registry, Map<String, Path> folders) {
    gauge(
        registry,
        "trainer_disk_free_bytes",
        "Room left on the folder's file system.",
        folders,
        FileStore::getUsableSpace);
    gauge(
        registry,
        "trainer_disk_size_bytes",
        "Size of the folder's file system.",
        folders,
        FileStore::getTotalSpace);
  }

  private static void gauge(
      PrometheusRegistry registry, String name, String help, Map<String, Path> folders, Size size) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .unit(Unit.BYTES)
        .labelNames("folder")
        .callback(
            callback ->
                folders.forEach(
                    (label, folder) -> {
                      try {
                        callback.call(
                            (double) size.of(Files.getFileStore(existing(folder))), label);
                      } catch (IOException e) {
                        // A disk that does not answer has no figure; all others have.
                      }
                    }))
        .register(registry);
  }

  private static Path existing(Path folder) throws IOException {
    Path path = folder.toAbsolutePath();
    while (Files.notExists(path) && path.getParent() != null) {
      path = path.getParent();
    }
    return path;
  }
}
