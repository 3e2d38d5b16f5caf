package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * How many images per second each caller gets: a token bucket per caller. Thread-safe.
 *
 * <p>A bucket holds the images of one second. A request may begin while the bucket is not empty,
 * and then takes all its images, which may leave a debt: so requests of any size are possible, and
 * a caller gets no more than the rate in the long run.
 */
public final class CallerQuota {

  /** No limit. */
  public static final CallerQuota UNLIMITED = new CallerQuota(0, System::nanoTime);

  // The callers that were seen last. One that is forgotten starts with a full bucket.
  private static final int MAX_CALLERS = 65_536;
  private static final double NANOS = 1e9;

  private final double imagesPerSecond;
  private final LongSupplier nanoTime;

  // Mutable state
  @GuardedBy("this") private final Map<Object, Bucket> buckets =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Bucket> eldest) {
          return size() > MAX_CALLERS;
        }
      };

  private static final class Bucket {
    private double images;
    private long updated;

    Bucket(double images, long updated) {
      this.images = images;
      this.updated = updated;
    }
  }

  /**
   * A limit.
   *
   * @param imagesPerSecond of each caller; 0: none
   */
  public CallerQuota(double imagesPerSecond, LongSupplier nanoTime) {
    this.imagesPerSecond = imagesPerSecond;
    this.nanoTime = nanoTime;
  }

  /**
   * Takes images, unless the caller has had too many.
   *
   * @return zero: they are taken; otherwise how long to wait before the next try
   */
  Duration take(Object caller, long images) {
    if (imagesPerSecond == 0) {
      return Duration.ZERO;
    }
    synchronized (this) {
      Bucket bucket = refilled(caller);
      if (bucket.images <= 0) {
        // Until it holds one image.
        return Duration.ofNanos((long) ((1 - bucket.images) / imagesPerSecond * NANOS) + 1);
      }
      bucket.images -= images;
      return Duration.ZERO;
    }
  }

  /**
   * Likewise.
   *
   * @throws RequestException OVERLOADED
   */
  void require(Object caller, long images) {
    Duration wait = take(caller, images);
    if (!wait.isZero()) {
      throw RequestException.overloaded(
          "this caller has had its images (--images-per-second %.0f); try again in %d ms"
              .formatted(imagesPerSecond, wait.toMillis() + 1),
          wait);
    }
  }

  /** Returns images that were taken and not made. */
  void refund(Object caller, long images) {
    if (imagesPerSecond > 0) {
      synchronized (this) {
        refilled(caller).images += images; // The next refill limits it.
      }
    }
  }

  @GuardedBy("this") private Bucket refilled(Object caller) {
    long now = nanoTime.getAsLong();
    double capacity = Math.max(1, imagesPerSecond);
    Bucket bucket = buckets.computeIfAbsent(caller, unknown -> new Bucket(capacity, now));
    double made = (now - bucket.updated) / NANOS * imagesPerSecond;
    bucket.images = Math.min(capacity, bucket.images + made);
    bucket.updated = now;
    return bucket;
  }
}
