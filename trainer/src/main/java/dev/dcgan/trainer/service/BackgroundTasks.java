package dev.dcgan.trainer.service;

import dev.dcgan.server.Threads;
import dev.dcgan.trainer.run.RequestException;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Work beside the training that takes seconds, one piece at a time on a thread of its own.
 *
 * <p>Thread-safe. At most {@value #MOST_WAITING} pieces wait; more are refused. One whose future is
 * cancelled while it waits is not begun.
 */
final class BackgroundTasks {

  private static final int MOST_WAITING = 16;

  private final ThreadPoolExecutor thread =
      new ThreadPoolExecutor(
          1,
          1,
          0,
          TimeUnit.SECONDS,
          new ArrayBlockingQueue<>(MOST_WAITING),
          Threads.named("errand"));

  // Mutable state; written once, by whoever ends the program.
  private volatile boolean closing;

  /** Queues a piece of work; what it throws is what the future fails with. */
  <T> CompletableFuture<T> submit(Callable<T> errand) throws RequestException {
    CompletableFuture<T> result = new CompletableFuture<>();
    try {
      thread.execute(() -> run(errand, result));
    } catch (RejectedExecutionException e) {
      if (closing) {
        throw RequestException.ending();
      }
      throw new RequestException(
          RequestException.Why.FULL,
          "%d such requests wait already; try again later".formatted(MOST_WAITING));
    }
    return result;
  }

  private <T> void run(Callable<T> errand, CompletableFuture<T> result) {
    if (closing) {
      result.completeExceptionally(RequestException.ending());
    } else if (!result.isDone()) {
      try {
        result.complete(errand.call());
      } catch (Exception | Error e) {
        result.completeExceptionally(e);
      }
    }
  }

  /** Refuses what waits, and waits for what is under way; returns whether that ended in time. */
  boolean close(Duration grace) throws InterruptedException {
    closing = true;
    thread.shutdown();
    return thread.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS);
  }
}
