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
 * Runs tasks that take seconds, one at a time on a thread of its own, beside the training.
 *
 * <p>Thread-safe. At most {@value #MAX_QUEUED} tasks are queued; more are refused. A task whose
 * future is cancelled while it is queued is not started.
 */
final class BackgroundTasks {

  private static final int MAX_QUEUED = 16;

  private final ThreadPoolExecutor thread =
      new ThreadPoolExecutor(
          1,
          1,
          0,
          TimeUnit.SECONDS,
          new ArrayBlockingQueue<>(MAX_QUEUED),
          Threads.named("background"));

  // Mutable state; written once, by the thread that ends the program.
  private volatile boolean closing;

  /** Queues a task; the future fails with what the task throws. */
  <T> CompletableFuture<T> submit(Callable<T> task) throws RequestException {
    CompletableFuture<T> result = new CompletableFuture<>();
    try {
      thread.execute(() -> run(task, result));
    } catch (RejectedExecutionException e) {
      if (closing) {
        throw RequestException.ending();
      }
      throw new RequestException(
          RequestException.Why.FULL,
          "%d such requests are queued already; try again later".formatted(MAX_QUEUED));
    }
    return result;
  }

  private <T> void run(Callable<T> task, CompletableFuture<T> result) {
    if (closing) {
      result.completeExceptionally(RequestException.ending());
    } else if (!result.isDone()) {
      try {
        result.complete(task.call());
      } catch (Exception | Error e) {
        result.completeExceptionally(e);
      }
    }
  }

  /** Refuses queued tasks and waits for the active one; returns whether it ended in time. */
  boolean close(Duration grace) throws InterruptedException {
    closing = true;
    thread.shutdown();
    return thread.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS);
  }
}
