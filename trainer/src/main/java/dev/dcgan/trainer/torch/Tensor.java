package dev.dcgan.trainer.torch;

import ai.djl.ndarray.NDArray;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * float32 values in row-major order, which are read a part at a time: they may be on a device or in
 * a file, and more than the host's memory holds.
 */
public interface Tensor {

  long[] shape();

  /**
   * Fills what remains of {@code into} with the values from index {@code first} on, little-endian.
   *
   * @throws IOException the values cannot be read
   */
  void read(long first, ByteBuffer into) throws IOException;

  /** How many values there are. */
  default long size() {
    return size(shape());
  }

  /** How many values a tensor of that shape has. */
  static long size(long... shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  /** The values that a float32 array has when they are read. */
  static Tensor of(NDArray array) {
    return new ArrayTensor(array);
  }

  /**
   * Overwrites {@code array} with this tensor's values.
   *
   * @throws IOException the values cannot be read
   */
  default void copyTo(NDArray array) throws IOException {
    HostCopies.<IOException>fill(array, this::read);
  }

  /** Whether {@code array} has this tensor's shape. */
  default boolean fits(NDArray array) {
    return Arrays.equals(shape(), array.getShape().getShape());
  }

  /** An array's values, on its device. */
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
