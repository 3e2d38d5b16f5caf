package dev.dcgan.sampler.core;

import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.v1.GenerateResponse;
import java.util.concurrent.CompletableFuture;

/** Images under way, and the answer that they become. */
public record Pending(CompletableFuture<Images> images, CompletableFuture<GenerateResponse> answer) {

  /** Nobody waits for it any more: what is queued leaves the queue. */
  public void cancel() {
    images.cancel(false);
  }
}
