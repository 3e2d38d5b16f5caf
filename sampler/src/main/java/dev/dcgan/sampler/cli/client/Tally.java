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
 * Counts what comes of calls between two points in time. Thread-safe; never blocks, and allocates
 * only for errors. Times are in ns since the load began.
 */
final class Tally {

  private static final long FINEST = TimeUnit.MICROSECONDS.toNanos(1);
  private static final long LONGEST = TimeUnit.HOURS.toNanos(2);
  private static final int DIGITS = 3;

  private final long from;
  private final long to;

  // Mutable state
  private final Histogram latencies = new AtomicHistogram(FINEST, LONGEST, DIGITS);
  private final LongAdder answeredCalls = new LongAdder();
  private final LongAdder images = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private final ConcurrentHashMap<String, Errors> errors = new ConcurrentHashMap<>();

  /** Counts from {@code from} until before {@code to}. */
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

  void received(long now, Reply answer) {
    if (counts(now)) {
      images.add(answer.images());
      bytes.add(answer.bytes());
    }
  }

  void succeeded(long begun, long now) {
    if (counts(now)) {
      answeredCalls.increment();
    }
    if (counts(begun)) {
      latencies.recordValue(Math.min(now - begun, LONGEST));
    }
  }

  void failed(long begun, String code, String message) {
    if (counts(begun)) {
      errors.merge(
          code,
          new Errors(1, message),
          (old, one) -> new Errors(old.count() + 1, old.firstMessage()));
    }
  }

  /** What was counted; no more may come in. */
  LoadReport report() {
    double seconds = (to - from) / 1e9;
    SortedMap<String, Errors> failed = new TreeMap<>(errors);
    long succeeded = latencies.getTotalCount();
    return new LoadReport(
        seconds,
        succeeded + failed.values().stream().mapToLong(Errors::count).sum(),
        succeeded,
        images.sum() / seconds,
        answeredCalls.sum() / seconds,
        bytes.sum() / seconds,
        new Latency(ms(50), ms(90), ms(99), ms(99.9), latencies.getMaxValue() / 1e6),
        failed);
  }

  private double ms(double percentile) {
    return latencies.getValueAtPercentile(percentile) / 1e6;
  }
}
