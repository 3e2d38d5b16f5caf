package dev.dcgan.trainer.torch;

import ai.djl.engine.EngineException;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A failure in PyTorch's native code: of the device, of its memory, or another. Not an error in a
 * run's settings or data: the same run may continue from its newest checkpoint in a new process.
 *
 * <p>DJL's JNI library turns every C++ exception into an {@link EngineException} that has nothing
 * but PyTorch's message, so the message decides the {@link Kind}.
 */
public final class NativeFailureException extends IOException {

  /** What failed. */
  public enum Kind {
    /** The memory of the device or of the host was exhausted; the device still works. */
    OUT_OF_MEMORY("out of memory"),
    /**
     * The device failed. CUDA then fails every further call of this process, so that nothing on the
     * device can be read any more.
     */
    DEVICE_LOST("device failure"),
    /** Anything else. */
    OTHER("native failure");

    private final String title;

    Kind(String title) {
      this.title = title;
    }

    /** Its label in metrics and events, {@code out_of_memory}. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Work that calls PyTorch. */
  @FunctionalInterface
  public interface Work<T> {
    T run() throws IOException;
  }

  private static final long serialVersionUID = 1L;
  private static final int MAX_DETAIL = 400;

  // Lower case. cuBLAS and cuDNN say "not initialized" if there is no memory left for their
  // handles. The caching allocator asks NVML about the device only after cudaMalloc has failed.
  private static final List<String> MEMORY =
      List.of(
          "out of memory",
          "can't allocate memory",
          "cannot allocate memory",
          "not enough memory",
          "bad_alloc",
          "_alloc_failed",
          "_allocation_failed",
          "status_not_initialized",
          "nvml_success ==");

  // Lower case, and more than "cuda": that is also in messages about tensors on two devices.
  private static final List<String> DEVICE =
      List.of(
          "cuda error",
          "cuda driver error",
          "cuda unknown error",
          "cuda driver initialization failed",
          "no cuda gpus are available",
          "found no nvidia driver",
          "nvidia driver on your system is too old",
          "cudnn error",
          "cudnn_status_",
          "cublas_status_",
          "cusparse error",
          "cusolver error",
          "cufft error",
          "curand_status_",
          "nvml",
          "c10/cuda/",
          "aten/cuda/",
          "aten/native/cuda/",
          "aten/native/cudnn/");

  private static final String SCRIPT = "The following operation failed in the TorchScript";
  private static final Pattern SCRIPT_CAUSE =
      Pattern.compile("(?m)^[\\w.:]*(?:Error|Exception): (.*)$");

  private final Kind kind;

  /** A failure of which the caller knows the kind. */
  public NativeFailureException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  /** The engine's failure, classified; its message is one line. */
  public static NativeFailureException of(EngineException failure) {
    String message = String.valueOf(failure.getMessage());
    Kind kind = classify(message);
    NativeFailureException classified =
        new NativeFailureException(kind, kind.title + ": " + detail(message));
    classified.initCause(failure);
    return classified;
  }

  /** The engine's failure among an exception and its causes, if there is one. */
  public static Optional<NativeFailureException> find(Exception thrown) {
    for (Throwable e = thrown; e != null; e = e.getCause()) {
      if (e instanceof NativeFailureException failure) {
        return Optional.of(failure);
      }
      if (e instanceof EngineException failure) {
        return Optional.of(of(failure));
      }
    }
    return Optional.empty();
  }

  /**
   * Does work of which a failure is to be reported in one line.
   *
   * @throws NativeFailureException PyTorch failed
   */
  public static <T> T reporting(Work<T> work) throws IOException {
    try {
      return work.run();
    } catch (EngineException e) {
      throw of(e);
    }
  }

  public Kind kind() {
    return kind;
  }

  private static Kind classify(String message) {
    String lower = message.toLowerCase(Locale.ROOT);
    if (MEMORY.stream().anyMatch(lower::contains)) {
      return Kind.OUT_OF_MEMORY;
    }
    return DEVICE.stream().anyMatch(lower::contains) ? Kind.DEVICE_LOST : Kind.OTHER;
  }

  /**
   * The line that says what failed: CUDA's advice follows it, and a trace of the script precedes it
   * where TorchScript ran the operator.
   */
  static String detail(String message) {
    String line = message.lines().filter(text -> !text.isBlank()).findFirst().orElse("").strip();
    if (message.startsWith(SCRIPT)) {
      Matcher causes = SCRIPT_CAUSE.matcher(message);
      while (causes.find()) {
        line = causes.group(1).strip();
      }
    }
    return line.length() <= MAX_DETAIL ? line : line.substring(0, MAX_DETAIL) + " ...";
  }
}
