package dev.dcgan.faults;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Calls that are due at a rate, whatever became of earlier ones, over several connections. Every
 * byte of every response is compared. Thread-safe.
 */
final class Flood {

  /** Images of each call. */
  static final int COUNT = 8;

  private static final int DEADLINE_SECONDS = 60;
  private static final double SECOND = 1e9; // In nanoseconds.

  private final List<? extends Channel> channels;
  private final ByteString expected;
  private final Random random;

  // Mutable state
  /** The time of each call until it ended, by how it ended. */
  @GuardedBy("this") private final Map<Status.Code, List<Long>> nanos = new EnumMap<>(Status.Code.class);

  @GuardedBy("this") private int wrong;

  @GuardedBy("this") private int inFlight;

  /**
   * Calls that have not begun.
   *
   * @param expected the pixels of the images 0 to {@link CheckedCalls#IMAGES}
   */
  Flood(List<? extends Channel> channels, ByteString expected, Random random) {
    this.channels = channels;
    this.expected = expected;
    this.random = random;
  }

  /** Calls as fast as answers come, with so many calls in flight; returns calls per second. */
  double capacity(int concurrency, Duration time) throws InterruptedException {
    Semaphore free = new Semaphore(concurrency);
    long start = System.nanoTime();
    int calls = 0;
    while (System.nanoTime() - start < time.toNanos()) {
      free.acquire();
      call(calls++, free::release);
    }
    awaitEnd();
    return calls / ((System.nanoTime() - start) / 1e9);
  }

  /**
   * Calls at twice the capacity, however fast the machine is by now: that of before, or the calls
   * that were answered in any second since. Returns when every call has ended.
   */
  void run(double capacity, Duration time) throws InterruptedException {
    long start = System.nanoTime();
    double rate = 2 * capacity;
    double due = 0;
    int calls = 0;
    for (int second = 1, answered = 0; second <= time.toSeconds(); second++) {
      long last = System.nanoTime();
      for (long now = last; now - start < second * SECOND; now = System.nanoTime()) {
        due += rate * (now - last) / SECOND;
        last = now;
        for (; calls < due; calls++) {
          call(calls, () -> {});
        }
        TimeUnit.MILLISECONDS.sleep(1); // About the time until the next call is due.
      }
      int before = answered;
      answered = count(Status.Code.OK);
      rate = Math.max(rate, 2.0 * (answered - before));
    }
    awaitEnd();
  }

  /** Calls by how they ended. */
  synchronized Map<Status.Code, Integer> codes() {
    Map<Status.Code, Integer> codes = new EnumMap<>(Status.Code.class);
    nanos.forEach((code, times) -> codes.put(code, times.size()));
    return codes;
  }

  /** Calls that ended so. */
  int count(Status.Code code) {
    return codes().getOrDefault(code, 0);
  }

  synchronized int wrong() {
    return wrong;
  }

  /** The milliseconds within which that fraction of the calls that ended so reached the client. */
  synchronized double millis(Status.Code code, double fraction) {
    List<Long> sorted = nanos.getOrDefault(code, List.of()).stream().sorted().toList();
    return sorted.isEmpty()
        ? Double.NaN
        : sorted.get((int) Math.min(sorted.size() - 1, fraction * sorted.size())) / 1e6;
  }

  private void call(int number, Runnable then) {
    int first = random.nextInt(CheckedCalls.IMAGES - COUNT);
    synchronized (this) {
      inFlight++;
    }
    long start = System.nanoTime();
    SamplerServiceGrpc.newStub(channels.get(number % channels.size()))
        .withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)
        .generate(
            CheckedCalls.request(first, COUNT),
            new StreamObserver<>() {
              @Override
              public void onNext(GenerateResponse response) {
                check(first, response);
              }

              @Override
              public void onError(Throwable failure) {
                end(Status.fromThrowable(failure).getCode(), System.nanoTime() - start);
                then.run();
              }

              @Override
              public void onCompleted() {
                end(Status.Code.OK, System.nanoTime() - start);
                then.run();
              }
            });
  }

  private void check(int first, GenerateResponse response) {
    int imageBytes = expected.size() / CheckedCalls.IMAGES;
    if (!response
        .getPixels()
        .equals(expected.substring(first * imageBytes, (first + COUNT) * imageBytes))) {
      synchronized (this) {
        wrong++;
      }
    }
  }

  private synchronized void end(Status.Code code, long time) {
    nanos.computeIfAbsent(code, unknown -> new ArrayList<>()).add(time);
    inFlight--;
    notifyAll();
  }

  private synchronized void awaitEnd() throws InterruptedException {
    while (inFlight > 0) {
      wait(); // Every call has a deadline.
    }
  }
}
