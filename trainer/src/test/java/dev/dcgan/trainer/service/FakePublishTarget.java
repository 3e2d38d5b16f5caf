package dev.dcgan.trainer.service;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/** Publishes into a list; the test may hold it back. */
final class FakePublishTarget implements CheckpointPublisher.Target {

  record Published(Checkpoint checkpoint, String model, String run) {}

  final BlockingQueue<Published> published = new LinkedBlockingQueue<>();
  final Semaphore begun = new Semaphore(0);
  final Semaphore permits = new Semaphore(1_000_000);
  volatile @Nullable IOException failure;

  @Override
  public ModelVersion publish(
      Checkpoint checkpoint, String model, Run run, CheckpointPublisher.Reuse reuse)
      throws IOException {
    begun.release();
    try {
      permits.acquire();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    IOException thrown = failure;
    if (thrown != null) {
      throw thrown;
    }
    published.add(new Published(checkpoint, model, run.getId()));
    return ModelVersion.newBuilder().setName(model).setVersion(published.size()).build();
  }
}
