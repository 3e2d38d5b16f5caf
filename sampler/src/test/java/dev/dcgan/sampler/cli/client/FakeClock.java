package dev.dcgan.sampler.cli.client;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;

/** A clock that only the test advances. Thread-safe. */
final class FakeClock implements Load.Clock {

  // Mutable state
  @GuardedBy("this") private long now = Long.MAX_VALUE - 5; // It overflows, as System.nanoTime may.

  synchronized void advance(Duration by) {
    now += by.toNanos();
    notifyAll();
  }

  @Override
  public synchronized long nanoTime() {
    return now;
  }

  @Override
  public synchronized void await(long time) throws InterruptedException {
    while (time - now > 0) {
      wait();
    }
  }
}
