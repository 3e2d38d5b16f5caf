package dev.dcgan.trainer.service;

import dev.dcgan.server.Threads;
import dev.dcgan.trainer.run.RequestException;
import io.grpc.Context;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Runs tasks that take long on threads of their own, beside the training and beside calls that take
 * milliseconds.
 *
 * <p>Thread-safe. So many tasks are queued at most; more are refused. A task whose future is
 * cancelled while it is queued is not started.
 */
final class BackgroundTasks {

  private final int maxQueued;
  private final ThreadPoolExecutor executor;

  // Mutable state; written once, by the thread that ends the program.
  private volatile boolean closing;

  /**
   * Creates one without tasks.
   *
   * @param name of its threads
   */
  BackgroundTasks(String name, int threads, int maxQueued) {
    this.maxQueued = maxQueued;
    executor =
        new ThreadPoolExecutor(
            threads,
            threads,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(maxQueued),
            Threads.named(name));
  }

  /** Queues a task; the future fails with what the task throws. */
  <T> CompletableFuture<T> submit(Callable<T> task) throws RequestException {
    CompletableFuture<T> result = new CompletableFuture<>();
    try {
      executor.execute(Context.current().wrap(() -> run(task, result)));
    } catch (RejectedExecutionException e) {
      if (closing) {
        throw RequestException.ending();
      }
      throw new RequestException(
          RequestException.Why.FULL,
          "%d such requests are queued already; try again later".formatted(maxQueued));
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

  /** Refuses queued tasks. */
  void stop() {
    closing = true;
    executor.shutdown();
  }

  /** Refuses queued tasks and waits for the active ones; returns whether they ended in time. */
  boolean close(Duration grace) throws InterruptedException {
    stop();
    return executor.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS);
  }
}
