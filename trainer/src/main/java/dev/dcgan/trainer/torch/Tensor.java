package dev.dcgan.trainer.torch;

import ai.djl.ndarray.NDArray;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A float32 tensor in row-major order whose values are read in parts, because they may be on a
 * device or in a file, and exceed the host's memory.
 */
public interface Tensor {

  long[] shape();

  /**
   * Fills the remaining bytes of {@code into} with the values from index {@code first} on, in
   * little- endian order.
   *
   * @throws IOException if the values cannot be read
   */
  void read(long first, ByteBuffer into) throws IOException;

  /** The number of values. */
  default long size() {
    return size(shape());
  }

  /** The number of values of a tensor with the given shape. */
  static long size(long... shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  /** A tensor that reads the current values of a float32 array. */
  static Tensor of(NDArray array) {
    return new ArrayTensor(array);
  }

  /**
   * Overwrites {@code array} with this tensor's values.
   *
   * @throws IOException if the values cannot be read
   */
  default void copyTo(NDArray array) throws IOException {
    HostCopies.<IOException>fill(array, this::read);
  }

  /** Whether {@code array} has this tensor's shape. */
  default boolean fits(NDArray array) {
    return Arrays.equals(shape(), array.getShape().getShape());
  }

  /** A tensor on a device. */
  record ArrayTensor(NDArray array) implements Tensor {

    @Override
    public long[] shape() {
      return array.getShape().getShape();
    }

    @Override
    public void read(long first, ByteBuffer into) {
      HostCopies.read(array, first, into);
    }
  }
}
