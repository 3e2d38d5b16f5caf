package dev.dcgan.sampler.export;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Logs the progress of a part every ten seconds. Confined to the thread that writes. */
final class Progress {

  private static final Logger log = LoggerFactory.getLogger(Progress.class);
  private static final long LOG_INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final long images;
  private final LongSupplier nanoClock;
  private final long start;

  // Mutable state
  private long written;
  private long lastLine;

  /**
   * Starts the clock.
   *
   * @param images to write
   */
  Progress(long images, LongSupplier nanoClock) {
    this.images = images;
    this.nanoClock = nanoClock;
    this.start = nanoClock.getAsLong();
    this.lastLine = start;
  }

  /** Records that more images are written. */
  void add(int count) {
    written += count;
    long now = nanoClock.getAsLong();
    if (now - lastLine >= LOG_INTERVAL_NANOS && written < images) {
      lastLine = now;
      log.info(
          "{} of {} images, {} images/s, {} left",
          written,
          images,
          Math.round(written / seconds(now)),
          text(seconds(now) * (images - written) / written));
    }
  }

  /** {@code 70 images in 0 min 01 s, 70 images/s}. */
  String summary() {
    double seconds = seconds(nanoClock.getAsLong());
    return "%d images in %s, %d images/s"
        .formatted(written, text(seconds), Math.round(written / seconds));
  }

  private double seconds(long now) {
    return Math.max(1, now - start) / 1e9;
  }

  private static String text(double seconds) {
    Duration time = Duration.ofSeconds(Math.round(seconds));
    return time.toHours() > 0
        ? "%d h %02d min".formatted(time.toHours(), time.toMinutesPart())
        : "%d min %02d s".formatted(time.toMinutes(), time.toSecondsPart());
  }
}
