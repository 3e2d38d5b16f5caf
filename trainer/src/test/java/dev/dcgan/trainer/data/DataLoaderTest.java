package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.DataLoader.Mirroring;
import dev.dcgan.trainer.data.DataLoader.Noise;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class DataLoaderTest {

  private static final ImageShape SHAPE = new ImageShape(1, 2, 1);

  /** Image i has the pixels (i, 255 - i). */
  private static class Numbers implements ImageDataset {

    private final int size;

    Numbers(int size) {
      this.size = size;
    }

    @Override
    public String name() {
      return "numbers";
    }

    @Override
    public ImageShape shape() {
      return SHAPE;
    }

    @Override
    public int size() {
      return size;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) throws IOException {
      target[offset] = (byte) index;
      target[offset + 1] = (byte) (255 - index);
    }
  }

  /** Numbers of which image 0 waits for a latch. */
  private static final class Waiting extends Numbers {

    private final CountDownLatch gate;
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch interrupted = new CountDownLatch(1);
    private final Set<Integer> read = Collections.synchronizedSet(new HashSet<>());

    Waiting(int size, CountDownLatch gate) {
      super(size);
      this.gate = gate;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) throws IOException {
      if (index == 0) {
        reached.countDown();
        try {
          gate.await();
        } catch (InterruptedException e) {
          interrupted.countDown();
          throw new InterruptedIOException();
        }
      } else {
        read.add(index);
        if (index == 7) {
          gate.countDown();
        }
      }
      super.copyPixels(index, target, offset);
    }
  }

  @Test
  void batches_comeInTheOrderOfEachEpoch_withASmallerLast() throws IOException {
    int[][] orders = {{4, 2, 0, 1, 3}, {0, 1, 2, 3, 4}};
    List<String> batches = new ArrayList<>();
    try (DataLoader all =
        new DataLoader(new Numbers(5), 2, Noise.NONE, epoch -> orders[epoch - 1], 1, 2, 0)) {
      while (all.hasNext()) {
        Batch batch = all.next();
        batches.add(
            "%d/%d %s %s".formatted(batch.epoch(), batch.first(), numbers(batch), batch.last()));
        assertThat(batch.positions())
            .containsExactly(numbers(batch).stream().mapToInt(i -> i).toArray());
      }
      assertThatThrownBy(all::next).isInstanceOf(NoSuchElementException.class);
    }

    assertThat(batches)
        .containsExactly(
            "1/0 [4, 2] false",
            "1/2 [0, 1] false",
            "1/4 [3] true",
            "2/0 [0, 1] false",
            "2/2 [2, 3] false",
            "2/4 [4] true");
  }

  @Test
  void batches_fromALaterStep_areThoseThatWouldHaveCome() throws IOException {
    List<List<Integer>> batches = new ArrayList<>();
    try (DataLoader rest = inOrder(new Numbers(5), 2, 3, 3, 1)) {
      while (rest.hasNext()) {
        batches.add(numbers(rest.next()));
      }
    }

    assertThat(batches).containsExactly(List.of(2, 3), List.of(4));
  }

  @Test
  void batch_hasTheImagesNormalized_fromTheBuffersStartToItsLimit() throws IOException {
    ImageDataset digits = new DigitsDataset(3, 1);
    float[] expected = new float[2 * digits.shape().values()];
    digits.copyNormalized(2, expected, 0);
    digits.copyNormalized(0, expected, digits.shape().values());

    try (DataLoader batches =
        new DataLoader(digits, 2, Noise.NONE, epoch -> new int[] {2, 0, 1}, 1, 1, 0)) {
      Batch batch = batches.next();

      assertThat(batch.size()).isEqualTo(2);
      assertThat(batch.values().isDirect()).isTrue();
      assertThat(batch.values().position()).isZero();
      float[] values = new float[batch.values().remaining() / Float.BYTES];
      batch.values().asFloatBuffer().get(values);
      assertThat(values).containsExactly(expected);
    }
  }

  @Test
  void batch_hasItsNoiseBehindItsImages_drawnByTheReaders() throws IOException {
    Set<Thread> threads = Collections.synchronizedSet(new HashSet<>());
    Noise noise =
        new Noise() {
          @Override
          public int size() {
            return 3;
          }

          @Override
          public float[] draw(int epoch, int first, int n) {
            threads.add(Thread.currentThread());
            float[] drawn = new float[3 * n];
            Arrays.fill(drawn, 100 * epoch + first);
            return drawn;
          }
        };
    List<String> seen = new ArrayList<>();
    try (DataLoader batches =
        new DataLoader(new Numbers(3), 2, noise, epoch -> new int[] {0, 1, 2}, 1, 2, 0)) {
      while (batches.hasNext()) {
        Batch batch = batches.next();
        float[] values = new float[batch.values().remaining() / Float.BYTES];
        batch.values().asFloatBuffer().get(values);
        seen.add(
            numbers(batch)
                + Arrays.toString(Arrays.copyOfRange(values, 2 * batch.size(), values.length)));
      }
    }

    assertThat(seen)
        .containsExactly(
            "[0, 1][100.0, 100.0, 100.0, 100.0, 100.0, 100.0]",
            "[2][102.0, 102.0, 102.0]",
            "[0, 1][200.0, 200.0, 200.0, 200.0, 200.0, 200.0]",
            "[2][202.0, 202.0, 202.0]");
    assertThat(threads).doesNotContain(Thread.currentThread());
  }

  @Test
  void batch_hasSomeImagesMirrored() throws IOException {
    List<List<Integer>> seen = new ArrayList<>();
    try (DataLoader batches =
        new DataLoader(
            new Numbers(3),
            2,
            Noise.NONE,
            null,
            // The second image of the first epoch, and the third of the second.
            (epoch, place) -> place == epoch,
            epoch -> new int[] {2, 0, 1},
            1,
            2,
            0)) {
      while (batches.hasNext()) {
        Batch batch = batches.next();
        float[] values = new float[batch.values().remaining() / Float.BYTES];
        batch.values().asFloatBuffer().get(values);
        seen.add(
            IntStream.range(0, values.length)
                .mapToObj(i -> Math.round(values[i] * 127.5f + 127.5f))
                .toList());
      }
    }

    assertThat(seen)
        .containsExactly(
            List.of(2, 253, 255, 0), List.of(1, 254), List.of(2, 253, 0, 255), List.of(254, 1));
  }

  @Test
  void batch_hasItsLabelsBehindTheNoise() throws IOException {
    int[] labels = {7, 8, 9};
    List<String> seen = new ArrayList<>();
    try (DataLoader batches =
        new DataLoader(
            new Numbers(3),
            2,
            Noise.NONE,
            labels,
            Mirroring.NONE,
            epoch -> new int[] {2, 0, 1},
            1,
            1,
            0)) {
      while (batches.hasNext()) {
        Batch batch = batches.next();
        float[] values = new float[batch.values().remaining() / Float.BYTES];
        batch.values().asFloatBuffer().get(values);
        int images = batch.size() * SHAPE.values();
        seen.add(Arrays.toString(Arrays.copyOfRange(values, images, values.length)));
      }
    }

    assertThat(seen).containsExactly("[9.0, 7.0]", "[8.0]");
  }

  @Test
  void batch_isReadByTheEngineAsItIs_smallerOnesToo() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        DataLoader batches = inOrder(new Numbers(3), 2, 1, 1, 0)) {
      for (int n : new int[] {2, 1}) {
        Batch batch = batches.next();
        float[] expected = new float[n * SHAPE.values()];
        batch.values().asFloatBuffer().get(expected);
        try (NDArray array =
            manager.create(batch.values(), new Shape(n, 1, 1, 2), DataType.FLOAT32)) {
          assertThat(array.toFloatArray()).containsExactly(expected);
        }
      }
    }
  }

  @Test
  void batchesReadySooner_waitForTheirTurn() throws IOException {
    // Image 0 comes only after image 7, of the last batch that may be read ahead.
    Waiting data = new Waiting(30, new CountDownLatch(1));
    int[] order = IntStream.concat(IntStream.range(0, 3), IntStream.range(6, 30)).toArray();
    List<Integer> seen = new ArrayList<>();
    try (DataLoader batches = new DataLoader(data, 3, Noise.NONE, epoch -> order, 1, 1, 0)) {
      while (batches.hasNext()) {
        seen.addAll(numbers(batches.next()));
      }
    }

    assertThat(seen).containsExactlyElementsOf(IntStream.of(order).boxed().toList());
  }

  @Test
  void reading_runsNoFurtherAheadThanItsBuffers() throws Exception {
    int ahead = DataLoader.MAX_PREFETCHED * 2;
    CountDownLatch gate = new CountDownLatch(1);
    Waiting data = new Waiting(100, gate);
    // The last image that may be read before the first batch is requested is image 0.
    int[] order = IntStream.range(0, 100).map(i -> (i + 100 - (ahead - 1)) % 100).toArray();
    try (DataLoader batches = new DataLoader(data, 2, Noise.NONE, epoch -> order, 1, 1, 0)) {
      data.reached.await();
      assertThat(data.read).hasSizeLessThan(ahead);
      gate.countDown();
      Set<ByteBuffer> buffers = Collections.newSetFromMap(new IdentityHashMap<>());
      for (int i = 0; batches.hasNext(); i++) {
        buffers.add(batches.next().values());
        // Counting this batch: what is lent, and what waits.
        assertThat(data.read.size()).isLessThanOrEqualTo((i + 1 + DataLoader.MAX_PREFETCHED) * 2);
      }
      assertThat(buffers).hasSize(DataLoader.MAX_PREFETCHED + 1);
    }
  }

  @Test
  void failureOfAnImage_surfacesAtItsBatch() throws IOException {
    ImageDataset failing =
        new Numbers(9) {
          @Override
          public void copyPixels(int index, byte[] target, int offset) throws IOException {
            if (index == 5) {
              throw new IOException("five.png is gone");
            }
            super.copyPixels(index, target, offset);
          }
        };
    try (DataLoader batches = inOrder(failing, 3, 1, 1, 0)) {
      assertThat(numbers(batches.next())).containsExactly(0, 1, 2);
      assertThatIOException().isThrownBy(batches::next).withMessage("five.png is gone");
    }
  }

  @Test
  void close_interruptsAReaderThatHangs() throws Exception {
    Waiting hanging = new Waiting(5, new CountDownLatch(2));
    DataLoader batches = inOrder(hanging, 2, 1, 1, 0);
    hanging.reached.await();

    batches.close();

    assertThat(hanging.interrupted.getCount()).isZero();
    assertThat(batches.hasNext()).isFalse();
  }

  @Test
  void next_ofAnInterruptedThread_saysSoAndStaysInterrupted() {
    try (DataLoader batches = inOrder(new Waiting(5, new CountDownLatch(2)), 2, 1, 1, 0)) {
      Thread.currentThread().interrupt();

      assertThatThrownBy(batches::next).isInstanceOf(InterruptedIOException.class);
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void arguments_outOfRange_areRefused() {
    Numbers data = new Numbers(5);

    assertThatIllegalArgumentException().isThrownBy(() -> inOrder(data, 0, 1, 1, 0));
    assertThatIllegalArgumentException().isThrownBy(() -> inOrder(data, 2, 2, 1, 0));
    assertThatIllegalArgumentException().isThrownBy(() -> inOrder(data, 2, 1, 1, 3));
    assertThatIllegalArgumentException().isThrownBy(() -> inOrder(data, 2, 1, 1, -1));
  }

  private static DataLoader inOrder(
      ImageDataset data, int batchSize, int firstEpoch, int lastEpoch, int firstStep) {
    int[] order = IntStream.range(0, data.size()).toArray();
    return new DataLoader(
        data, batchSize, Noise.NONE, epoch -> order, firstEpoch, lastEpoch, firstStep);
  }

  /** The images of a batch, identified by their pixels. */
  private static List<Integer> numbers(Batch batch) {
    return IntStream.range(0, batch.size())
        .mapToObj(i -> Math.round(batch.values().asFloatBuffer().get(2 * i) * 127.5f + 127.5f))
        .toList();
  }
}
