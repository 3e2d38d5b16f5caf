package dev.dcgan.sampler.cli.client;

import io.grpc.Channel;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;

/**
 * Calls a server by a {@link LoadPlan} and measures what comes of it, as cheaply as it can: the two
 * often share a machine.
 *
 * <p>A caller begins its next call on the thread that brought the end of the one before: with
 * channels of a direct executor, on the connection's event loop. The only other thread is the one
 * that {@link #run} was called on. It begins the calls of an open loop that are due while callers
 * are idle; where none is, a call waits for the first to be free, and its latency counts from when
 * it was due. So a server that stalls is charged for all the calls that it kept from being made (no
 * coordinated omission), and so are the 0.1 ms or so that an operating system takes to wake a
 * thread. Calls that still wait one timeout after the end are given up.
 */
public final class Load {

  /** What time it is. */
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
   * Does as planned, and returns when all calls have ended.
   *
   * @param channels among which the callers are dealt; best {@link Connections}'
   * @throws InterruptedException calls may still be under way; shut the channels down
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
    for (long number = schedule.take(elapsed.getAsLong());
        number != Schedule.NONE;
        number = schedule.take(elapsed.getAsLong())) {
      clock.await(origin + schedule.due(number, elapsed.getAsLong()));
      caller.run(number);
      caller = idle.take();
    }
    for (int others = 1; others < plan.concurrency(); others++) {
      idle.take();
    }
    String why = "due, but %d calls were in flight".formatted(plan.concurrency());
    for (long number = schedule.takeLeft(); number != Schedule.NONE; number = schedule.takeLeft()) {
      tally.failed(schedule.due(number, 0), LoadReport.NOT_SENT, why);
    }
    return tally.report();
  }
}
