package dev.dcgan.sampler.cli.client;

import io.grpc.Channel;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;

/**
 * Load-tests a server by a {@link LoadPlan}, at little cost, because client and server often share
 * a machine.
 *
 * <p>A caller starts its next call on the thread that ended the previous one: with channels that
 * have a direct executor, on the connection's event loop. The only other thread is that of {@link
 * #run}. It starts the calls of an open loop that are due while callers are idle. If no caller is
 * idle, a call waits for the first one, and its latency counts from when it was due. So a server
 * that stalls is charged for all calls that it delays (no coordinated omission), and so is the time
 * of about 0.1 ms that an operating system takes to wake a thread. Calls that still wait one
 * timeout after the end are dropped.
 */
public final class Load {

  /** A monotonic clock. */
  interface Clock {

    long nanoTime();

    /** Waits until {@link #nanoTime} is {@code time}. */
    void await(long time) throws InterruptedException;
  }

  private static final Clock SYSTEM =
      new Clock() {
        @Override
        public long nanoTime() {
          return System.nanoTime();
        }

        @Override
        public void await(long time) throws InterruptedException {
          for (long left = time - nanoTime(); left > 0; left = time - nanoTime()) {
            LockSupport.parkNanos(left);
            if (Thread.interrupted()) {
              throw new InterruptedException();
            }
          }
        }
      };

  private Load() {}

  /**
   * Runs the plan, and returns when all calls have ended.
   *
   * @param channels shared by the callers in turn; preferably those of {@link Connections}
   * @throws InterruptedException calls may still be in progress; shut the channels down
   */
  public static <Q> LoadReport run(LoadPlan<Q> plan, List<? extends Channel> channels)
      throws InterruptedException {
    return run(plan, channels, SYSTEM);
  }

  static <Q> LoadReport run(LoadPlan<Q> plan, List<? extends Channel> channels, Clock clock)
      throws InterruptedException {
    long origin = clock.nanoTime();
    LongSupplier elapsed = () -> clock.nanoTime() - origin;
    Schedule schedule = Schedule.of(plan);
    Tally tally = Tally.of(plan);
    BlockingQueue<Caller<Q>> idle = new ArrayBlockingQueue<>(plan.concurrency());
    for (int i = 0; i < plan.concurrency(); i++) {
      Channel channel = channels.get(i % channels.size());
      idle.add(new Caller<>(plan, channel, schedule, elapsed, tally, idle::add));
    }

    Caller<Q> caller = idle.take();
    long taken = elapsed.getAsLong();
    long next = schedule.take(taken);
    while (next != Schedule.NONE) {
      clock.await(origin + schedule.due(next, taken));
      caller.run(next, taken);
      caller = idle.take();
      taken = elapsed.getAsLong();
      next = schedule.take(taken);
    }
    for (int others = 1; others < plan.concurrency(); others++) {
      idle.take();
    }
    String message = "due, but %d calls were in flight".formatted(plan.concurrency());
    for (long number = schedule.takeRemaining();
        number != Schedule.NONE;
        number = schedule.takeRemaining()) {
      tally.failed(schedule.due(number, 0), LoadReport.NOT_SENT, message);
    }
    return tally.report();
  }
}
