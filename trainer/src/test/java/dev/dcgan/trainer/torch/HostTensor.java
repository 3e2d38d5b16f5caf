package dev.dcgan.trainer.torch;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/** A tensor whose values are in the heap: for tests to make and to look at. */
@SuppressWarnings("ArrayRecordComponent") // Compared by AssertJ, field by field.
public record HostTensor(long[] shape, float[] values) implements Tensor {

  /** A tensor of that shape. */
  public static HostTensor of(long[] shape, float... values) {
    return new HostTensor(shape, values);
  }

  /** What {@code tensor} reads now. */
  static HostTensor copyOf(Tensor tensor) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(Float.BYTES * tensor.size()))
            .order(ByteOrder.LITTLE_ENDIAN);
    tensor.read(0, bytes);
    float[] values = new float[Math.toIntExact(tensor.size())];
    bytes.flip().asFloatBuffer().get(values);
    return new HostTensor(tensor.shape(), values);
  }

  /** A checkpoint that stays as {@code checkpoint} is now. */
  public static Checkpoint copyOf(Checkpoint checkpoint) throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, Tensor> entry : checkpoint.tensors().entrySet()) {
      tensors.put(entry.getKey(), copyOf(entry.getValue()));
    }
    return new Checkpoint(
        checkpoint.architecture(),
        checkpoint.hyperparameters(),
        checkpoint.dataset(),
        checkpoint.epoch(),
        checkpoint.step(),
        tensors);
  }

  @Override
  public void read(long first, ByteBuffer into) {
    while (into.hasRemaining()) {
      into.putFloat(values[(int) first++]);
    }
  }
}
