package dev.dcgan.sampler.cli.client;

import dev.dcgan.sampler.cli.client.LoadReport.Errors;
import dev.dcgan.sampler.cli.client.LoadReport.Latency;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.AtomicHistogram;
import org.HdrHistogram.Histogram;

/**
 * Counts the outcomes of calls between two points in time. Thread-safe; never blocks, and allocates
 * for errors only. Times are in ns since the load test began.
 */
final class Tally {

  private static final long MIN_NANOS = TimeUnit.MICROSECONDS.toNanos(1);
  private static final long MAX_NANOS = TimeUnit.HOURS.toNanos(2);
  private static final int SIGNIFICANT_DIGITS = 3;

  private final long from;
  private final long to;

  // Mutable state
  private final Histogram latencies = new AtomicHistogram(MIN_NANOS, MAX_NANOS, SIGNIFICANT_DIGITS);
  private final LongAdder completedCalls = new LongAdder();
  private final LongAdder images = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private final ConcurrentHashMap<String, Errors> errors = new ConcurrentHashMap<>();

  /** Counts in [from, to). */
  private Tally(long from, long to) {
    this.from = from;
    this.to = to;
  }

  static Tally of(LoadPlan<?> plan) {
    long warm = plan.warmUp().toNanos();
    return new Tally(warm, warm + plan.duration().toNanos());
  }

  private boolean counts(long time) {
    return time >= from && time < to;
  }

  void received(long now, ResponseSummary response) {
    if (counts(now)) {
      images.add(response.images());
      bytes.add(response.bytes());
    }
  }

  void succeeded(long startTime, long now) {
    if (counts(now)) {
      completedCalls.increment();
    }
    if (counts(startTime)) {
      latencies.recordValue(Math.min(now - startTime, MAX_NANOS));
    }
  }

  void failed(long startTime, String code, String message) {
    if (counts(startTime)) {
      errors.merge(
          code,
          new Errors(1, message),
          (old, one) -> new Errors(old.count() + 1, old.firstMessage()));
    }
  }

  /** The report; nothing may be counted afterwards. */
  LoadReport report() {
    double seconds = (to - from) / 1e9;
    SortedMap<String, Errors> failed = new TreeMap<>(errors);
    long succeeded = latencies.getTotalCount();
    return new LoadReport(
        seconds,
        succeeded + failed.values().stream().mapToLong(Errors::count).sum(),
        succeeded,
        images.sum() / seconds,
        completedCalls.sum() / seconds,
        bytes.sum() / seconds,
        new Latency(ms(50), ms(90), ms(99), ms(99.9), latencies.getMaxValue() / 1e6),
        failed);
  }

  private double ms(double percentile) {
    return latencies.getValueAtPercentile(percentile) / 1e6;
  }
}
