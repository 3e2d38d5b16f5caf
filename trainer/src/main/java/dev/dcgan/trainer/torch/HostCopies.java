package dev.dcgan.trainer.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.function.Consumer;

/**
 * Copies between arrays on any device and host memory, in bounded chunks.
 *
 * <p>All reads of an array go through this class. DJL's {@code toFloatArray()} and similar methods
 * leak: the host copy of a GPU array, or the contiguous copy of a non-contiguous one, stays in a
 * new sub-manager of the array's manager that nobody closes. They also cannot read arrays above 2
 * GiB. Here such copies belong to a manager that is closed before the method returns.
 *
 * <p>Bytes are in native order, which is little-endian on all platforms of libtorch.
 */
public final class HostCopies {

  /** The number of values in a chunk: 4 MiB of float32. */
  static final int CHUNK_VALUES = 1 << 20;

  /** A source of values for an array. */
  @FunctionalInterface
  public interface Source<E extends Exception> {

    /** Fills the remaining bytes of {@code into} with the values from index {@code first} on. */
    void read(long first, ByteBuffer into) throws E;
  }

  private HostCopies() {}

  /**
   * Reads a float32 array, row-major.
   *
   * @throws IllegalStateException if the array has another type
   */
  public static float[] floats(NDArray array) {
    require(array, DataType.FLOAT32);
    float[] values = new float[Math.toIntExact(array.size())];
    FloatBuffer into = FloatBuffer.wrap(values);
    forEachChunk(array, 0, values.length, chunk -> into.put(chunk.asFloatBuffer()));
    return values;
  }

  /**
   * Reads an int64 array, row-major.
   *
   * @throws IllegalStateException if the array has another type
   */
  public static long[] longs(NDArray array) {
    require(array, DataType.INT64);
    long[] values = new long[Math.toIntExact(array.size())];
    LongBuffer into = LongBuffer.wrap(values);
    forEachChunk(array, 0, values.length, chunk -> into.put(chunk.asLongBuffer()));
    return values;
  }

  /**
   * Fills the remaining bytes of {@code into} with the values of a float32 array from index {@code
   * first} on.
   *
   * @throws IllegalStateException if the array has another type
   */
  public static void read(NDArray array, long first, ByteBuffer into) {
    require(array, DataType.FLOAT32);
    forEachChunk(array, first, into.remaining() / Float.BYTES, into::put);
  }

  /**
   * Overwrites a float32 array in place; it remains the same leaf of the autograd graph.
   *
   * @param array a contiguous array, not a view of another
   * @throws IllegalStateException if the array has another type
   */
  public static <E extends Exception> void fill(NDArray array, Source<E> source) throws E {
    require(array, DataType.FLOAT32);
    try (NDManager scope = array.getManager().newSubManager(array.getDevice());
        NDManager host = NDManager.newBaseManager(Device.cpu())) {
      NDArray values = flat(array, scope);
      int length = (int) Math.min(CHUNK_VALUES, array.size());
      // libtorch's memory is freed when the manager is closed; a direct buffer of Java would stay
      // until a garbage collection.
      NDArray staging = host.zeros(new Shape(length));
      ByteBuffer buffer = staging.toByteBuffer(true);
      for (long first = 0; first < array.size(); first += length) {
        long n = Math.min(length, array.size() - first);
        source.read(first, buffer.clear().limit((int) n * Float.BYTES));
        try (NDManager part = host.newSubManager()) {
          NDArray chunk = staging.get(part, slice(0, n)).toDevice(array.getDevice(), false);
          // Not NDArray.set(Buffer): PyTorch prints a deprecation warning for it.
          values.set(slice(first, first + n), chunk);
        }
      }
    }
  }

  /** As {@link #fill(NDArray, Source)}, from an array on the heap. */
  public static void fill(NDArray array, float[] values) {
    if (array.size() != values.length) {
      throw new IllegalArgumentException(
          "%d values for an array of shape %s".formatted(values.length, array.getShape()));
    }
    fill(
        array,
        (first, into) ->
            into.asFloatBuffer().put(values, (int) first, into.remaining() / Float.BYTES));
  }

  private static void forEachChunk(
      NDArray array, long first, long count, Consumer<ByteBuffer> consumer) {
    try (NDManager scope = array.getManager().newSubManager(array.getDevice())) {
      NDArray values = flat(array, scope);
      long end = first + count;
      for (long start = first; start < end; start += CHUNK_VALUES) {
        try (NDManager part = scope.newSubManager()) {
          NDArray chunk = values.get(part, slice(start, Math.min(start + CHUNK_VALUES, end)));
          // On a GPU, DJL copies the chunk into a sub-manager of its manager, which is closed here.
          consumer.accept(chunk.toByteBuffer(true));
        }
      }
    }
  }

  /** Flattens an array: a view if it is contiguous, otherwise a copy; in {@code scope}. */
  private static NDArray flat(NDArray array, NDManager scope) {
    NDArray flat = array.flatten();
    flat.attach(scope);
    return flat;
  }

  private static NDIndex slice(long start, long end) {
    return new NDIndex().addSliceDim(start, end);
  }

  private static void require(NDArray array, DataType type) {
    if (array.getDataType() != type) {
      throw new IllegalStateException(
          "an array of type %s; expected %s".formatted(array.getDataType(), type));
    }
  }
}
