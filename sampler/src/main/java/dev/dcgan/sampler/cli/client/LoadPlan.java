package dev.dcgan.sampler.cli.client;

import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.function.LongFunction;

/**
 * What a {@link Load} does.
 *
 * @param method unary, or one whose answers stream
 * @param request makes call 0, 1, 2 and so on; call n is to ask for the images {@code [n
 *     imagesPerCall, (n + 1) imagesPerCall)}, so that no two calls ask for the same. Thread-safe
 * @param imagesPerCall 1 or more
 * @param concurrency calls in flight at most
 * @param callsPerSecond above 0: an open loop, calls are due by this rate whatever becomes of those
 *     before; 0: a closed loop, each of {@code concurrency} callers calls again as soon as it was
 *     answered
 * @param warmUp how long calls go on before any count
 * @param duration how long they go on after that
 * @param timeout each call's deadline, from when it is sent; 0: none, and a call that is never
 *     answered is waited for for ever
 */
public record LoadPlan<Q>(
    MethodDescriptor<Q, Reply> method,
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
