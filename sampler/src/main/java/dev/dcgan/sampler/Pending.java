package dev.dcgan.sampler;

import dev.dcgan.sampler.batch.Images;
import dev.dcgan.v1.GenerateResponse;
import java.util.concurrent.CompletableFuture;

/** Images under way, and the answer that they become. */
record Pending(CompletableFuture<Images> images, CompletableFuture<GenerateResponse> answer) {

  /** Nobody waits for it any more: what is queued leaves the queue. */
  void cancel() {
    images.cancel(false);
  }
}
