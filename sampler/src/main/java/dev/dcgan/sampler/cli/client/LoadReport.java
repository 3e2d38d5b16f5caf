package dev.dcgan.sampler.cli.client;

import java.util.SortedMap;

/**
 * The result of a load test.
 *
 * <p>Latencies and outcomes are those of the calls that started, or in an open loop were due,
 * within the measured time, however long they took. Rates are those of the responses that arrived
 * within it.
 *
 * @param seconds measured
 * @param calls that ended, with success or an error
 * @param succeeded calls without an error, to which the latencies belong
 * @param errors by status code, besides {@link #WRONG_RESPONSE} and {@link #NOT_SENT}
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

  /** The call succeeded, but not with the images that it had requested. */
  public static final String WRONG_RESPONSE = "WRONG_RESPONSE";

  /** The call was due, but the maximum of calls was in flight until the end. */
  public static final String NOT_SENT = "NOT_SENT";

  /** Percentiles in milliseconds; all 0 if no call succeeded. */
  public record Latency(double p50, double p90, double p99, double p999, double max) {}

  /**
   * Calls that ended with the same code.
   *
   * @param firstMessage the message of the first of them
   */
  public record Errors(long count, String firstMessage) {}
}
