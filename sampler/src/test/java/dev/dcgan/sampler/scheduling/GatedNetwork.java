package dev.dcgan.sampler.scheduling;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * A network whose runs wait for the test's permission. The bytes of an image repeat the first float
 * of its latent, as a byte.
 */
public final class GatedNetwork implements Network {

  /** A run takes the same time for any number of images, so batching always pays. */
  public static final LatencyProfile TIMES =
      LatencyProfile.of(new int[] {1, 4096}, new long[] {1000, 1000});

  private final int latentSize;
  private final int imageBytes;
  private final Semaphore started = new Semaphore(0);
  private final Semaphore permits = new Semaphore(0);
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile boolean broken;

  public GatedNetwork(int latentSize, int imageBytes) {
    this.latentSize = latentSize;
    this.imageBytes = imageBytes;
  }

  /** Permits so many runs. */
  public void permit(int runs) {
    permits.release(runs);
  }

  /** Runs fail from now on. */
  public void breakDown() {
    broken = true;
  }

  /** Waits for the start of one more run. */
  public void awaitStarted() throws InterruptedException {
    if (!started.tryAcquire(30, TimeUnit.SECONDS)) {
      throw new AssertionError("no run has started");
    }
  }

  public boolean isClosed() {
    return closed.getCount() == 0;
  }

  public boolean awaitClosed() throws InterruptedException {
    return closed.await(30, TimeUnit.SECONDS);
  }

  @Override
  public int latentSize() {
    return latentSize;
  }

  @Override
  public int imageBytes(Output output) {
    return output == Output.PIXELS ? imageBytes : imageBytes * Float.BYTES;
  }

  @Override
  public void run(List<BatchSlice> batch) {
    started.release();
    permits.acquireUninterruptibly();
    if (broken) {
      throw new IllegalStateException("the network is broken");
    }
    for (BatchSlice slice : batch) {
      FloatBuffer z = FloatBuffer.allocate(slice.count() * latentSize);
      slice.putLatents(z);
      ByteBuffer images = ByteBuffer.allocate(slice.count() * imageBytes(slice.output()));
      for (int i = 0; i < slice.count(); i++) {
        for (int k = 0; k < imageBytes(slice.output()); k++) {
          images.put((byte) z.get(i * latentSize));
        }
      }
      slice.takeImages(images.flip());
    }
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
