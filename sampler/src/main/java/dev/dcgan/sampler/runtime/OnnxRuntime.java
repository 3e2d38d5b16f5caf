package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.providers.OrtCUDAProviderOptions;
import java.util.regex.Pattern;

/** The environment of ONNX Runtime and the configuration of its sessions. */
final class OnnxRuntime {

  // FATAL: errors are thrown anyway, and the search for an absent GPU is not worth a warning.
  static final OrtEnvironment ENVIRONMENT =
      OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "sampler");

  private static final String DISABLE_CPU_FALLBACK = "session.disable_cpu_ep_fallback";
  private static final Pattern SOURCE_LOCATION =
      Pattern.compile("^.*\\[ONNXRuntimeError\\] : \\d+ : \\w+ : ");
  // In the middle of a message: the file, and a function with the types of its parameters.
  private static final Pattern SOURCE_FUNCTION =
      Pattern.compile("/onnxruntime_src/\\S+:\\d+ [^(]*\\([^)]*\\) ");
  private static final String CPU_FALLBACK = "assigned to the default CPU EP";

  private OnnxRuntime() {}

  /**
   * The options of one session; the caller closes them.
   *
   * @param gpuMemoryBytes that the session may allocate on a GPU; 0: no limit
   */
  static SessionOptions options(RuntimeSettings settings, long gpuMemoryBytes) throws OrtException {
    SessionOptions options = new SessionOptions();
    try {
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      options.setInterOpNumThreads(1);
      options.setIntraOpNumThreads(settings.threads());
      // Waiting threads sleep: other sessions and callers need the cores.
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

  /** Makes an operator without a kernel of the added provider an error. */
  static void disableCpuFallback(SessionOptions options) throws OrtException {
    options.addConfigEntry(DISABLE_CPU_FALLBACK, "1");
  }

  /** Whether that is the error; ONNX Runtime has no code for it. */
  static boolean isCpuFallback(OrtException e) {
    return String.valueOf(e.getMessage()).contains(CPU_FALLBACK);
  }

  /**
   * The message in one line: ONNX Runtime's messages may begin with a source location and end with
   * a stack trace.
   */
  static String reason(OrtException e) {
    String first = String.valueOf(e.getMessage()).lines().findFirst().orElse("no message");
    String reason = SOURCE_LOCATION.matcher(first).replaceFirst("");
    return SOURCE_FUNCTION.matcher(reason).replaceAll(" ").strip();
  }

  private static void addCuda(SessionOptions options, RuntimeSettings settings, long gpuMemoryBytes)
      throws OrtException {
    // An operator on the CPU would copy whole batches back and forth. The CPU provider must not be
    // added explicitly beside this option: ONNX Runtime refuses both together.
    disableCpuFallback(options);
    // The same order of summation where an operator has the choice; ConvTranspose has none.
    options.setDeterministicCompute(true);
    try (OrtCUDAProviderOptions cuda = new OrtCUDAProviderOptions(settings.deviceId())) {
      // With cuDNN 9 HEURISTIC uses the first choice of cuDNN's heuristic mode A; the default,
      // EXHAUSTIVE, uses its fallback engines.
      cuda.add("cudnn_conv_algo_search", "HEURISTIC");
      // The default doubles the arena whenever it grows, but a session always runs the same batch
      // size: the first run requests all that it needs.
      cuda.add("arena_extend_strategy", "kSameAsRequested");
      // On by default; TF32 has a 10-bit mantissa.
      cuda.add("use_tf32", settings.tf32() ? "1" : "0");
      if (gpuMemoryBytes > 0) {
        cuda.add("gpu_mem_limit", Long.toString(gpuMemoryBytes));
      }
      options.addCUDA(cuda);
    }
  }
}
