package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/**
 * What a scheduler has learnt from its traffic: how often tasks arrive, and how the latency of
 * batches compares with the one that was profiled. From both it estimates how long work takes. Time
 * is an argument. Not thread-safe: guarded by the scheduler's lock.
 *
 * <p>Both averages are exponentially weighted moving averages (EWMA).
 */
final class ThroughputEstimator {

  private static final double SMOOTHING = 0.1;
  private static final long MAX_INTERARRIVAL_NANOS = 1_000_000_000;
  private static final long MIN_RETRY_MILLIS = 1;
  private static final long MAX_RETRY_MILLIS = 60_000;

  private final LatencyProfile profile;
  private final double profiledNanosPerImage;

  // Mutable state
  private long lastArrival;

  /** EWMA of the nanoseconds between two arrivals. */
  private double interarrivalNanos = MAX_INTERARRIVAL_NANOS;

  /** EWMA of observed / profiled latency. */
  private double latencyRatio = 1;

  /**
   * An estimator that has seen nothing yet.
   *
   * @param batchSize images in a full batch
   * @param sessions that run batches concurrently
   */
  ThroughputEstimator(LatencyProfile profile, int batchSize, int sessions, long now) {
    this.profile = profile;
    this.profiledNanosPerImage = (double) profile.nanos(batchSize) / batchSize / sessions;
    this.lastArrival = now;
  }

  void recordArrival(long now) {
    long sinceLast = Math.min(MAX_INTERARRIVAL_NANOS, now - lastArrival);
    interarrivalNanos += SMOOTHING * (sinceLast - interarrivalNanos);
    lastArrival = now;
  }

  void recordRun(int images, long nanos) {
    double ratio = (double) nanos / profile.nanos(images);
    latencyRatio += SMOOTHING * (ratio - latencyRatio);
  }

  /** Nanoseconds per image while all sessions run full batches. */
  double nanosPerImage() {
    return latencyRatio * profiledNanosPerImage;
  }

  /**
   * For how many nanoseconds it pays to wait for another task before the queued images run; 0 or
   * less: it does not pay. Waiting pays while the next arrival is expected sooner than the time
   * that one run instead of two saves.
   */
  long nanosWorthWaiting(int queuedImages, long now) {
    long saving = profile.savingFromWaiting(queuedImages);
    return interarrivalNanos >= saving ? 0 : saving - (now - lastArrival);
  }

  /**
   * Estimates how many nanoseconds a new request takes.
   *
   * @param imagesAhead images of other requests that run before its last one
   * @param isIdle whether nothing is queued. Then the profiled latency is an upper bound: a ratio
   *     that one slow moment raised could not fall again while every request is rejected
   */
  double nanosToFinish(double imagesAhead, long images, boolean isIdle) {
    double ratio = isIdle ? Math.min(1, latencyRatio) : latencyRatio;
    double work = (imagesAhead + images) * profiledNanosPerImage;
    return ratio * Math.max((double) profile.nanos(1), work);
  }

  /** Estimates when the queued images will have run, for a client that retries: 1 ms to 60 s. */
  Duration retryAfter(int queuedImages) {
    long millis = (long) Math.ceil(queuedImages * latencyRatio * profiledNanosPerImage / 1e6);
    return Duration.ofMillis(Math.max(MIN_RETRY_MILLIS, Math.min(millis, MAX_RETRY_MILLIS)));
  }
}
