package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A response that is being made. Thread-safe.
 *
 * <p>It completes once, with the response or with a {@link RequestException}. {@link #cancel}
 * cancels the step that is under way, whichever that is: work that is queued leaves the queue.
 */
public final class PendingResponse<T> {

  private final CompletableFuture<T> future = new CompletableFuture<>();

  // Mutable state
  @GuardedBy("this") private Runnable cancelStep = () -> {};

  @GuardedBy("this") private boolean cancelled;

  static <T> PendingResponse<T> failed(Throwable failure) {
    PendingResponse<T> pending = new PendingResponse<>();
    pending.complete(null, failure);
    return pending;
  }

  public CompletableFuture<T> future() {
    return future;
  }

  /** Cancels the work: nobody waits for the response any more. Nothing, if it is complete. */
  public void cancel() {
    Runnable action;
    synchronized (this) {
      cancelled = true;
      action = cancelStep;
    }
    action.run();
  }

  /** Sets how the step that begins now is cancelled; cancels it at once if that was requested. */
  void onCancel(Runnable cancelStep) {
    synchronized (this) {
      this.cancelStep = cancelStep;
      if (!cancelled) {
        return;
      }
    }
    cancelStep.run();
  }

  /** Completes as another one does, which is the step that begins now. */
  void follow(PendingResponse<T> step) {
    onCancel(step::cancel);
    var unused = step.future.whenComplete(this::complete);
  }

  /**
   * Completes.
   *
   * @param failure null: there is a response
   */
  void complete(@Nullable T response, @Nullable Throwable failure) {
    if (failure != null) {
      future.completeExceptionally(RequestException.of(failure));
    } else {
      future.complete(response);
    }
  }
}
