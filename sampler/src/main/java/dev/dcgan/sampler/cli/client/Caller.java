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
 * Makes one call at a time, and the next one as soon as the last has ended, while any is due; then
 * says that it is idle, and may be run again. Not thread-safe: run it on any thread, but only while
 * it is idle.
 */
final class Caller<Q> extends ClientCall.Listener<Reply> {

  // A target that went away is waited for, until the deadline: failing at once would only spin.
  private static final CallOptions OPTIONS = CallOptions.DEFAULT.withWaitForReady();

  private final LoadPlan<Q> plan;
  private final long timeout;
  private final Channel channel;
  private final Schedule schedule;
  private final LongSupplier clock;
  private final Tally tally;
  private final Consumer<Caller<Q>> onIdle;

  // Mutable state, of the call under way: gRPC hands it from the thread that starts a call to those
  // that bring its answers, one after the other.
  private long number;
  private long begun;
  private long images;
  private @Nullable String problem;

  // A call may end before its start has returned, on the same thread or another. Whichever comes
  // second goes on to the next call, so the stack never grows from call to call.
  private final AtomicBoolean oneIsDone = new AtomicBoolean();

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

  /** Makes the call, and those that are due after it. */
  void run(long first) {
    long taken = first;
    while (taken != Schedule.NONE) {
      oneIsDone.set(false);
      start(taken);
      if (isFirstDone()) {
        return;
      }
      taken = schedule.takeDue(clock.getAsLong());
    }
    onIdle.accept(this);
  }

  @Override
  public void onMessage(Reply answer) {
    if (problem == null) {
      problem = problem(answer);
    }
    if (problem == null) {
      images += answer.images();
      tally.received(clock.getAsLong(), answer);
    }
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    long now = clock.getAsLong();
    if (status.isOk() && problem == null && images != plan.imagesPerCall()) {
      problem = "%d images; expected %d".formatted(images, plan.imagesPerCall());
    }
    if (!status.isOk()) {
      tally.failed(begun, status.getCode().name(), String.valueOf(status.getDescription()));
    } else if (problem != null) {
      tally.failed(begun, LoadReport.WRONG_ANSWER, problem);
    } else {
      tally.succeeded(begun, now);
    }
    if (!isFirstDone()) {
      run(schedule.takeDue(now));
    }
  }

  private void start(long taken) {
    number = taken;
    begun = schedule.due(taken, clock.getAsLong());
    images = 0;
    problem = null;
    ClientCall<Q, Reply> call =
        channel.newCall(
            plan.method(),
            timeout == 0 ? OPTIONS : OPTIONS.withDeadlineAfter(timeout, TimeUnit.NANOSECONDS));
    call.start(this, new Metadata());
    try {
      call.request(Integer.MAX_VALUE);
      call.sendMessage(plan.request().apply(taken));
      call.halfClose();
    } catch (RuntimeException e) {
      call.cancel("the request cannot be sent: " + e, e);
    }
  }

  private boolean isFirstDone() {
    return oneIsDone.compareAndSet(false, true);
  }

  private @Nullable String problem(Reply answer) {
    long expected = number * plan.imagesPerCall() + images;
    return answer.problem() != null
            || answer.firstIndex() == Reply.UNSAID
            || answer.firstIndex() == expected
        ? answer.problem()
        : "images from %d on; expected from %d on".formatted(answer.firstIndex(), expected);
  }
}
