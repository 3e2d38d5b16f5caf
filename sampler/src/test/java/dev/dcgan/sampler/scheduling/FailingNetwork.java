package dev.dcgan.sampler.scheduling;

import ai.onnxruntime.OrtException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** A network whose runs fail as the test says, as ONNX Runtime's do; images are of zeros. */
public final class FailingNetwork implements Network {

  public static final String OUT_OF_MEMORY =
      "Error code - ORT_RUNTIME_EXCEPTION - message: Non-zero status code returned while running"
          + " ConvTranspose node. Name:'up1' Status Message:"
          + " /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void*"
          + " onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Available memory of 0 is"
          + " smaller than requested bytes of 135383040";
  public static final String DEVICE_LOST =
      "Error code - ORT_FAIL - message: CUDA failure 719: unspecified launch failure ; GPU=0 ;"
          + " hostname=egg ; file=gpu_data_transfer.cc ; line=73 ; expr=cudaMemcpyAsync(dst, src);";

  private final int latentSize;
  private final int imageBytes;
  private final Queue<String> failures = new ConcurrentLinkedQueue<>();
  private final AtomicInteger runs = new AtomicInteger();

  public FailingNetwork(int latentSize, int imageBytes) {
    this.latentSize = latentSize;
    this.imageBytes = imageBytes;
  }

  /** The next runs fail, one after the other, with these messages of ONNX Runtime. */
  public void fail(String... messages) {
    failures.addAll(List.of(messages));
  }

  public int runs() {
    return runs.get();
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
    runs.incrementAndGet();
    String message = failures.poll();
    if (message != null) {
      throw new IllegalStateException("ONNX Runtime failed", new OrtException(message));
    }
    for (BatchSlice slice : batch) {
      slice.takeImages(ByteBuffer.allocate(slice.count() * imageBytes(slice.output())));
    }
  }

  @Override
  public void close() {}
}
