package dev.dcgan.trainer;

import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;

/** Publishes into a list; the test may hold it back. */
final class FakeTarget implements Publications.Target {

  record Published(Checkpoint checkpoint, String model, String run, Map<String, Double> quality) {}

  final BlockingQueue<Published> published = new LinkedBlockingQueue<>();
  final Semaphore begun = new Semaphore(0);
  final Semaphore permits = new Semaphore(1_000_000);

  @Override
  public ModelVersion publish(
      Checkpoint checkpoint, String model, String runId, Map<String, Double> quality)
      throws IOException {
    begun.release();
    try {
      permits.acquire();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    published.add(new Published(checkpoint, model, runId, quality));
    return ModelVersion.newBuilder().setName(model).setVersion(published.size()).build();
  }
}
