package dev.dcgan.sampler.cli.client;

import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.function.LongFunction;

/**
 * The plan of a load test.
 *
 * @param method unary or server-streaming
 * @param request makes the request of call 0, 1, 2 and so on; call n requests the images {@code [n
 *     imagesPerCall, (n + 1) imagesPerCall)}, so that no two calls request the same. Thread-safe
 * @param imagesPerCall 1 or more
 * @param concurrency the maximum of calls in flight
 * @param callsPerSecond above 0: an open loop, in which calls are due at this rate regardless of
 *     earlier ones; 0: a closed loop, in which each of {@code concurrency} callers calls again as
 *     soon as its call has ended
 * @param warmUp how long calls are made before the measurement
 * @param duration of the measurement
 * @param timeout each call's deadline, from when it is sent; 0: none, so a call may hang for ever
 */
public record LoadPlan<Q>(
    MethodDescriptor<Q, ResponseSummary> method,
    LongFunction<Q> request,
    long imagesPerCall,
    int concurrency,
    double callsPerSecond,
    Duration warmUp,
    Duration duration,
    Duration timeout) {

  public LoadPlan {
    require(imagesPerCall >= 1, "imagesPerCall " + imagesPerCall + ": expected 1 or more");
    require(concurrency >= 1, "concurrency " + concurrency + ": expected 1 or more");
    require(
        callsPerSecond >= 0 && callsPerSecond < Double.POSITIVE_INFINITY,
        "callsPerSecond " + callsPerSecond + ": expected 0 or more");
    require(!warmUp.isNegative(), "warmUp " + warmUp + ": expected 0 or more");
    require(
        !duration.isNegative() && !duration.isZero(),
        "duration " + duration + ": expected more than 0");
    require(!timeout.isNegative(), "timeout " + timeout + ": expected 0 or more");
  }

  private static void require(boolean met, String message) {
    if (!met) {
      throw new IllegalArgumentException(message);
    }
  }
}
