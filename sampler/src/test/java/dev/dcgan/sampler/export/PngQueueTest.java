package dev.dcgan.sampler.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PngQueueTest {

  private static final ImageShape SHAPE = new ImageShape(1, 4, 1);
  private static final long SEED = 3;
  private static final LabelChoice NONE = LabelChoice.of(Optional.empty(), List.of());

  /** Its images are their latents; it may be used by one thread at a time. */
  private static class FakeNetwork implements Network {
    private final AtomicBoolean runs = new AtomicBoolean();
    private final List<Integer> sizes = new ArrayList<>();

    @Override
    public int latentSize() {
      return 4;
    }

    @Override
    public int imageBytes(Output output) {
      return 4;
    }

    @Override
    public void run(List<BatchSlice> batch) {
      assertThat(runs.compareAndSet(false, true)).as("used by two threads at once").isTrue();
      for (BatchSlice slice : batch) {
        FloatBuffer z = FloatBuffer.allocate(4 * slice.count());
        slice.putLatents(z);
        slice.takeImages(ByteBuffer.wrap(pixels(z.array())));
        sizes.add(slice.count());
      }
      runs.set(false);
    }

    @Override
    public void close() {}
  }

  private static byte[] pixels(float[] z) {
    byte[] pixels = new byte[z.length];
    for (int i = 0; i < z.length; i++) {
      pixels[i] = (byte) (z[i] * 100);
    }
    return pixels;
  }

  private static Iterator<Range> chunks(int number, int size) {
    return IntStream.range(0, number).mapToObj(i -> new Range((long) i * size, size)).iterator();
  }

  @Test
  void pngs_comeInOrder_eachOfItsIndex() throws Exception {
    List<Network> networks = List.of(new FakeNetwork(), new FakeNetwork());
    try (PngQueue queue =
        new PngQueue(
            networks,
            SHAPE,
            SEED,
            NONE,
            chunks(40, 7),
            new PngQueue.Chunking(7, 3, 4),
            () -> false)) {
      for (int i = 0; i < 40 * 7; ) {
        for (byte[] png : queue.take()) {
          assertThat(png).isEqualTo(ImageEncoder.png(SHAPE, pixels(Latents.of(SEED, i++, 4)), 0));
        }
      }
    }
  }

  @Test
  void runs_areCutTheSameWay_whateverTheThreads() throws Exception {
    FakeNetwork network = new FakeNetwork();
    try (PngQueue queue =
        new PngQueue(
            List.of(network),
            SHAPE,
            SEED,
            NONE,
            chunks(2, 7),
            new PngQueue.Chunking(7, 3, 3),
            () -> false)) {
      queue.take();
      queue.take();
    }
    assertThat(network.sizes).containsExactly(3, 3, 1, 3, 3, 1);
  }

  @Test
  void noMoreChunksAreUnderWay_thanTwoAThread() throws Exception {
    AtomicInteger begun = new AtomicInteger();
    Iterator<Range> chunks =
        IntStream.range(0, 1000)
            .mapToObj(
                i -> {
                  begun.incrementAndGet();
                  return new Range(i, 1);
                })
            .iterator();
    try (PngQueue queue =
        new PngQueue(
            List.of(new FakeNetwork()),
            SHAPE,
            SEED,
            NONE,
            chunks,
            new PngQueue.Chunking(1, 1, 3),
            () -> false)) {
      for (int taken = 0; taken < 100; taken++) {
        assertThat(begun.get()).isEqualTo(6 + taken);
        queue.take();
      }
    }
  }

  @Test
  void whatTheNetworkThrows_isThrownToWhoTakes() throws Exception {
    Network broken =
        new FakeNetwork() {
          @Override
          public void run(List<BatchSlice> batch) {
            throw new IllegalStateException("no memory left");
          }
        };
    try (PngQueue queue =
        new PngQueue(
            List.of(broken),
            SHAPE,
            SEED,
            NONE,
            chunks(9, 1),
            new PngQueue.Chunking(1, 1, 2),
            () -> false)) {
      assertThatThrownBy(queue::take)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("no memory left");
    }
  }

  @Test
  void stopped_beginsNoRunAnyMore_andTellsWhoTakes() throws Exception {
    AtomicBoolean stopped = new AtomicBoolean();
    CountDownLatch running = new CountDownLatch(1);
    Semaphore go = new Semaphore(0);
    FakeNetwork gated =
        new FakeNetwork() {
          @Override
          public void run(List<BatchSlice> batch) {
            running.countDown();
            go.acquireUninterruptibly();
            super.run(batch);
          }
        };
    try (PngQueue queue =
        new PngQueue(
            List.of(gated),
            SHAPE,
            SEED,
            NONE,
            chunks(9, 10),
            new PngQueue.Chunking(10, 1, 2),
            stopped::get)) {
      running.await();
      stopped.set(true);
      go.release(90);
      assertThatThrownBy(queue::take).isInstanceOf(CancellationException.class);
    }
    assertThat(gated.sizes).as("the run in progress").containsExactly(1);
  }

  @Test
  void close_waitsForTheCurrentRun() throws Exception {
    CountDownLatch running = new CountDownLatch(1);
    Semaphore go = new Semaphore(0);
    FakeNetwork gated =
        new FakeNetwork() {
          @Override
          public void run(List<BatchSlice> batch) {
            running.countDown();
            go.acquireUninterruptibly();
            super.run(batch);
          }
        };
    PngQueue queue =
        new PngQueue(
            List.of(gated),
            SHAPE,
            SEED,
            NONE,
            chunks(9, 10),
            new PngQueue.Chunking(10, 1, 2),
            () -> false);
    running.await();
    Thread closer = new Thread(queue::close);
    closer.start();
    while (closer.getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
    assertThat(gated.sizes).isEmpty();
    go.release(90);
    closer.join();
    assertThat(gated.sizes).containsExactly(1);
  }
}
