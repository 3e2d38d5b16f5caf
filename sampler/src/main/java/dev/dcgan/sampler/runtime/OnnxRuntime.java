package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.providers.OrtCUDAProviderOptions;
import java.util.regex.Pattern;

/** The environment of ONNX Runtime, and how its sessions are configured. */
final class OnnxRuntime {

  // FATAL: errors are thrown; a search for a GPU that does not exist is not worth a warning.
  static final OrtEnvironment ENVIRONMENT =
      OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "sampler");

  private static final String DISABLE_CPU_FALLBACK = "session.disable_cpu_ep_fallback";
  private static final Pattern WHERE =
      Pattern.compile("^.*\\[ONNXRuntimeError\\] : \\d+ : \\w+ : ");
  private static final String CPU_FALLBACK = "assigned to the default CPU EP";

  private OnnxRuntime() {}

  /**
   * Options of one session, for the caller to close.
   *
   * @param gpuMemoryBytes that the session may allocate on a GPU; 0: any
   */
  static SessionOptions options(OnnxModel.Settings settings, long gpuMemoryBytes)
      throws OrtException {
    SessionOptions options = new SessionOptions();
    try {
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      options.setInterOpNumThreads(1);
      options.setIntraOpNumThreads(settings.threads());
      // Threads that wait sleep: the cores have other sessions, and callers, to serve.
      options.addConfigEntry("session.intra_op.allow_spinning", "0");
      if (settings.provider() == Provider.CUDA) {
        addCuda(options, settings, gpuMemoryBytes);
      }
      return options;
    } catch (OrtException | RuntimeException | Error e) {
      options.close();
      throw e;
    }
  }

  /** Makes it an error where an operator has no kernel of the provider that was added. */
  static void disableCpuFallback(SessionOptions options) throws OrtException {
    options.addConfigEntry(DISABLE_CPU_FALLBACK, "1");
  }

  /** Whether that was the error. ONNX Runtime has no code for it. */
  static boolean isCpuFallback(OrtException e) {
    return String.valueOf(e.getMessage()).contains(CPU_FALLBACK);
  }

  /**
   * What went wrong, in one line: ONNX Runtime's messages may begin with a place in its sources,
   * and go on with a stack.
   */
  static String reason(OrtException e) {
    String first = String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
    return WHERE.matcher(first).replaceFirst("").strip();
  }

  private static void addCuda(
      SessionOptions options, OnnxModel.Settings settings, long gpuMemoryBytes)
      throws OrtException {
    // An operator on the CPU would copy whole batches back and forth. The CPU provider must not be
    // added explicitly beside this option: ONNX Runtime refuses both together.
    disableCpuFallback(options);
    // Where operators offer the choice, the same sums in the same order. ConvTranspose offers none.
    options.setDeterministicCompute(true);
    try (OrtCUDAProviderOptions cuda = new OrtCUDAProviderOptions(settings.deviceId())) {
      // With cuDNN 9 HEURISTIC takes what cuDNN's heuristic mode A suggests first; the default,
      // EXHAUSTIVE, would take its fallback engines.
      cuda.add("cudnn_conv_algo_search", "HEURISTIC");
      // The default doubles the arena whenever it grows. A session always runs the same batch size,
      // so what the first run requests is what it needs.
      cuda.add("arena_extend_strategy", "kSameAsRequested");
      // The default is on: it rounds the factors of products to 10 bits.
      cuda.add("use_tf32", settings.tf32() ? "1" : "0");
      if (gpuMemoryBytes > 0) {
        cuda.add("gpu_mem_limit", Long.toString(gpuMemoryBytes));
      }
      options.addCUDA(cuda);
    }
  }
}
