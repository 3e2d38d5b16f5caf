package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class HostCopiesTest {

  // Two whole chunks and a part of one.
  private static final int LARGE = 2 * HostCopies.CHUNK_VALUES + 3;

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void floats_ofAGpuArray_leaveNoArrayBehind() {
    try (NDManager gpu = NDManager.newBaseManager(Device.gpu())) {
      NDArray array = GpuArray.of(gpu, manager.create(new float[] {1, 2, 3, 4}, new Shape(2, 2)));
      int before = gpu.getManagedArrays().size();
      assertThat(array.toFloatArray()).containsExactly(1, 2, 3, 4);
      assertThat(gpu.getManagedArrays()).as("what DJL leaves").hasSize(before + 1);

      assertThat(HostCopies.floats(array)).containsExactly(1, 2, 3, 4);

      assertThat(gpu.getManagedArrays()).hasSize(before + 1);
    }
  }

  @Test
  void floats_ofAnArrayThatIsNotContiguous_leaveNoArrayBehind() {
    NDArray array = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3)).transpose();
    int before = manager.getManagedArrays().size();

    assertThat(HostCopies.floats(array)).containsExactly(1, 4, 2, 5, 3, 6);

    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  @Test
  void fillAndFloats_ofManyChunks_copyEveryValue() {
    float[] values = ramp(LARGE);
    NDArray array = manager.zeros(new Shape(LARGE));
    int before = manager.getManagedArrays().size();

    HostCopies.fill(array, values);

    assertThat(HostCopies.floats(array)).isEqualTo(values);
    assertThat(array.toFloatArray()).isEqualTo(values);
    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  @Test
  void fill_asksForBoundedChunksInOrder() {
    NDArray array = manager.zeros(new Shape(1, LARGE));
    List<Long> requested = new ArrayList<>();

    HostCopies.<RuntimeException>fill(
        array,
        (first, into) -> {
          requested.add(first);
          requested.add((long) into.remaining() / Float.BYTES);
        });

    assertThat(requested)
        .containsExactly(
            0L,
            (long) HostCopies.CHUNK_VALUES,
            (long) HostCopies.CHUNK_VALUES,
            (long) HostCopies.CHUNK_VALUES,
            2L * HostCopies.CHUNK_VALUES,
            3L);
  }

  @Test
  void fill_keepsAParameterALeafThatCollectsGradients() {
    NDArray array = manager.zeros(new Shape(2, 2));
    array.setRequiresGradient(true);

    HostCopies.fill(array, new float[] {1, 2, 3, 4});

    assertThat(array.hasGradient()).isTrue();
    assertThat(array.getShape()).isEqualTo(new Shape(2, 2));
    assertThat(HostCopies.floats(array)).containsExactly(1, 2, 3, 4);
  }

  @Test
  void fill_ofAScalar_setsIt() {
    NDArray scalar = manager.zeros(new Shape());

    HostCopies.fill(scalar, new float[] {7});

    assertThat(HostCopies.floats(scalar)).containsExactly(7);
  }

  @Test
  void fill_withTheWrongNumberOfValues_refuses() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> HostCopies.fill(manager.zeros(new Shape(3)), new float[2]))
        .withMessageContaining("2 values");
  }

  @Test
  void read_copiesFromAnyPosition() {
    NDArray array = manager.create(ramp(LARGE), new Shape(1, LARGE));
    ByteBuffer into = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);

    HostCopies.read(array, HostCopies.CHUNK_VALUES - 1, into);

    assertThat(into.hasRemaining()).isFalse();
    assertThat(into.getFloat(0)).isEqualTo(HostCopies.CHUNK_VALUES - 1f);
    assertThat(into.getFloat(4)).isEqualTo((float) HostCopies.CHUNK_VALUES);
  }

  @Test
  void longs_giveTheValues() {
    assertThat(HostCopies.longs(manager.create(new long[] {1L << 40, -2}, new Shape(2))))
        .containsExactly(1L << 40, -2);
  }

  @Test
  void floats_ofAnotherType_refuse() {
    NDArray array = manager.create(new long[] {1});

    assertThatIllegalStateException()
        .isThrownBy(() -> HostCopies.floats(array))
        .withMessageContaining("int64");
  }

  private static float[] ramp(int n) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = i;
    }
    return values;
  }

  /** On the CPU, but it says that it is on a GPU: DJL copies it to the host as it does a GPU's. */
  private static final class GpuArray extends PtNDArray {

    private GpuArray(PtNDManager manager, long handle) {
      super(manager, handle);
    }

    /** Takes {@code array} over. */
    static GpuArray of(NDManager manager, NDArray array) {
      array.detach();
      return new GpuArray((PtNDManager) manager, ((PtNDArray) array).getHandle());
    }

    @Override
    public Device getDevice() {
      return Device.gpu();
    }

    @Override
    public PtNDArray flatten() {
      return of(getManager(), super.flatten());
    }

    @Override
    public NDArray get(NDManager manager, NDIndex index) {
      return of(manager, super.get(manager, index));
    }
  }
}
