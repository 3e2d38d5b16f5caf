package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.HexFormat;
import java.util.Map;

/**
 * Finds out whether CUDA works by using it. The list of available providers does not tell: it names
 * what the library was built with, and a provider that loads may still lack cuDNN.
 */
public final class CudaProbe {

  // ONNX, opset 17: y (1, 1, 3, 3) = ConvTranspose(x, x), x (1, 1, 2, 2).
  private static final byte[] MODEL =
      HexFormat.of()
          .parseHex(
              "08083a5b0a180a01780a0178120179220d436f6e765472616e73706f7365120570726f62655a1b0a"
                  + "017812160a14080112100a0208010a0208010a0208020a020802621b0a017912160a14080112100a"
                  + "0208010a0208010a0208030a02080342021011");

  private CudaProbe() {}

  /**
   * Runs a small transposed convolution on a CUDA device.
   *
   * @throws IOException it fails; the message is one line with the reason
   */
  public static void require(int deviceId) throws IOException {
    try {
      run(new RuntimeSettings(Provider.CUDA, deviceId, 1, false, 0));
    } catch (OrtException e) {
      throw new IOException("cannot use CUDA device %d: %s".formatted(deviceId, reason(e)), e);
    }
  }

  private static String reason(OrtException e) {
    String reason = OnnxRuntime.reason(e);
    if (reason.contains("libcuda.so.1: cannot open shared object file")) {
      return "the NVIDIA driver is not installed: libcuda.so.1 is not found";
    }
    // The code for a driver older than the runtime, or for a stub library without a driver.
    return reason.contains("CUDA failure 35:")
        ? "the NVIDIA driver is too old or does not run: " + reason
        : reason;
  }

  /** A valid model that is not a generator. */
  static byte[] model() {
    return MODEL.clone();
  }

  /** The convolution of four numbers with themselves. */
  static float[] run(RuntimeSettings settings) throws OrtException {
    try (SessionOptions options = OnnxRuntime.options(settings, 0);
        OrtSession session = OnnxRuntime.ENVIRONMENT.createSession(MODEL, options);
        OnnxTensor x =
            OnnxTensor.createTensor(
                OnnxRuntime.ENVIRONMENT,
                FloatBuffer.wrap(new float[] {1, 2, 3, 4}),
                new long[] {1, 1, 2, 2});
        OrtSession.Result result = session.run(Map.of("x", x))) {
      return ((OnnxTensor) result.get(0)).getFloatBuffer().array();
    }
  }
}
