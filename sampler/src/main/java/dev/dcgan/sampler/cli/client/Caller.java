package dev.dcgan.sampler.cli.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes one call at a time, and the next one as soon as the last has ended, while any is due. Then
 * it reports that it is idle and may be run again. Not thread-safe: run it on any thread, but only
 * while it is idle.
 */
final class Caller<Q> extends ClientCall.Listener<ResponseSummary> {

  // If the target is unreachable, calls wait until the deadline: failing at once would only spin.
  private static final CallOptions OPTIONS = CallOptions.DEFAULT.withWaitForReady();

  private final LoadPlan<Q> plan;
  private final long timeout;
  private final Channel channel;
  private final Schedule schedule;
  private final LongSupplier clock;
  private final Tally tally;
  private final Consumer<Caller<Q>> onIdle;

  // Mutable state of the current call: gRPC publishes it from the thread that starts the call to
  // those that run its callbacks, one after the other.
  private long number;
  private long startTime;
  private long images;
  private @Nullable String problem;

  // A call may end before its start has returned, on the same thread or another one. Whichever
  // comes second starts the next call, so the stack never grows from call to call.
  private final AtomicBoolean halfDone = new AtomicBoolean();

  Caller(
      LoadPlan<Q> plan,
      Channel channel,
      Schedule schedule,
      LongSupplier clock,
      Tally tally,
      Consumer<Caller<Q>> onIdle) {
    this.plan = plan;
    this.timeout = plan.timeout().toNanos();
    this.channel = channel;
    this.schedule = schedule;
    this.clock = clock;
    this.tally = tally;
    this.onIdle = onIdle;
  }

  /**
   * Makes this call and those that are due after it.
   *
   * @param taken when the call was taken from the schedule
   */
  void run(long first, long taken) {
    long next = first;
    long now = taken;
    while (next != Schedule.NONE) {
      halfDone.set(false);
      start(next, now);
      if (isFirstHalf()) {
        return;
      }
      now = clock.getAsLong();
      next = schedule.takeDue(now);
    }
    onIdle.accept(this);
  }

  @Override
  public void onMessage(ResponseSummary response) {
    if (problem == null) {
      problem = problem(response);
    }
    if (problem == null) {
      images += response.images();
      tally.received(clock.getAsLong(), response);
    }
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    long now = clock.getAsLong();
    if (status.isOk() && problem == null && images != plan.imagesPerCall()) {
      problem = "%d images; expected %d".formatted(images, plan.imagesPerCall());
    }
    if (!status.isOk()) {
      tally.failed(startTime, status.getCode().name(), String.valueOf(status.getDescription()));
    } else if (problem != null) {
      tally.failed(startTime, LoadReport.WRONG_RESPONSE, problem);
    } else {
      tally.succeeded(startTime, now);
    }
    if (!isFirstHalf()) {
      run(schedule.takeDue(now), now);
    }
  }

  private void start(long call, long taken) {
    number = call;
    // Not the time now, which may be past the end: then a call that was made would not count.
    startTime = schedule.due(call, taken);
    images = 0;
    problem = null;
    ClientCall<Q, ResponseSummary> rpc =
        channel.newCall(
            plan.method(),
            timeout == 0 ? OPTIONS : OPTIONS.withDeadlineAfter(timeout, TimeUnit.NANOSECONDS));
    rpc.start(this, new Metadata());
    try {
      rpc.request(Integer.MAX_VALUE);
      rpc.sendMessage(plan.request().apply(call));
      rpc.halfClose();
    } catch (RuntimeException e) {
      rpc.cancel("cannot send the request: " + e, e);
    }
  }

  private boolean isFirstHalf() {
    return halfDone.compareAndSet(false, true);
  }

  private @Nullable String problem(ResponseSummary response) {
    long expected = number * plan.imagesPerCall() + images;
    return response.problem() != null
            || response.firstIndex() == ResponseSummary.UNKNOWN
            || response.firstIndex() == expected
        ? response.problem()
        : "images from index %d; expected from index %d".formatted(response.firstIndex(), expected);
  }
}
