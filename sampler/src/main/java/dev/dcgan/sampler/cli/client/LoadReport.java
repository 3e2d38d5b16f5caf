package dev.dcgan.sampler.cli.client;

import java.util.SortedMap;

/**
 * What came of a load.
 *
 * <p>Latencies and outcomes are of the calls that began, or in an open loop were due, within the
 * measured time; all of them were waited for. Rates are of what arrived within it.
 *
 * @param seconds measured
 * @param calls that ended, in whatever way
 * @param succeeded of them; the latencies are theirs
 * @param errors by status code; {@link #WRONG_ANSWER} and {@link #NOT_SENT} are ours
 */
public record LoadReport(
    double seconds,
    long calls,
    long succeeded,
    double imagesPerSecond,
    double callsPerSecond,
    double bytesPerSecond,
    Latency latency,
    SortedMap<String, Errors> errors) {

  /** The call succeeded, but not with the images that it had asked for. */
  public static final String WRONG_ANSWER = "WRONG_ANSWER";

  /** The call was due, but as many as may be were in flight until the load was given up. */
  public static final String NOT_SENT = "NOT_SENT";

  /** Milliseconds; all 0 where no call succeeded. */
  public record Latency(double p50, double p90, double p99, double p999, double max) {}

  /**
   * Calls that ended alike.
   *
   * @param firstMessage what the first of them said
   */
  public record Errors(long count, String firstMessage) {}
}
