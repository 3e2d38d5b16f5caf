package dev.dcgan.trainer.torch;

import ai.djl.engine.EngineException;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Signals a failure in PyTorch's native code: of the device, of its memory, or another. It is not
 * caused by a run's settings or data: the run can resume from its newest checkpoint in a new
 * process.
 *
 * <p>DJL's JNI library converts every C++ exception to an {@link EngineException} that carries only
 * PyTorch's message, so the {@link Kind} is derived from the message.
 */
public final class NativeFailureException extends IOException {

  /** The kinds of failure. */
  public enum Kind {
    /** The memory of the device or the host is exhausted; the device still works. */
    OUT_OF_MEMORY("out of memory"),
    /**
     * The device failed. CUDA then rejects every further call of this process, so nothing on the
     * device can be read.
     */
    DEVICE_LOST("device failure"),
    /** Anything else. */
    OTHER("native failure");

    private final String title;

    Kind(String title) {
      this.title = title;
    }

    /** The kind's label in metrics and events: {@code out_of_memory}. */
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
  private static final int MAX_DETAIL_LENGTH = 400;

  // Lower case. cuBLAS and cuDNN report "not initialized" if there is no memory for their handles.
  // The caching allocator calls NVML only after cudaMalloc has failed.
  private static final List<String> MEMORY_ERRORS =
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

  // Lower case. "cuda" alone is also in messages about tensors on different devices.
  private static final List<String> DEVICE_ERRORS =
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

  private static final String SCRIPT_PREFIX = "The following operation failed in the TorchScript";
  private static final Pattern SCRIPT_ERROR =
      Pattern.compile("(?m)^[\\w.:]*(?:Error|Exception): (.*)$");

  private final Kind kind;

  /** Creates a failure of a known kind. */
  public NativeFailureException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  /** Classifies an engine failure; the message is one line. */
  public static NativeFailureException of(EngineException failure) {
    String message = String.valueOf(failure.getMessage());
    Kind kind = classify(message);
    NativeFailureException classified =
        new NativeFailureException(kind, kind.title + ": " + detail(message));
    classified.initCause(failure);
    return classified;
  }

  /** Finds an engine failure among an exception and its causes. */
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
   * Runs work and converts an engine failure, so that it is reported in one line.
   *
   * @throws NativeFailureException if PyTorch fails
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
    if (MEMORY_ERRORS.stream().anyMatch(lower::contains)) {
      return Kind.OUT_OF_MEMORY;
    }
    return DEVICE_ERRORS.stream().anyMatch(lower::contains) ? Kind.DEVICE_LOST : Kind.OTHER;
  }

  /**
   * Extracts the line of the actual error: CUDA's advice follows it, and for operators in
   * TorchScript a stack trace precedes it.
   */
  static String detail(String message) {
    String line = message.lines().filter(text -> !text.isBlank()).findFirst().orElse("").strip();
    if (message.startsWith(SCRIPT_PREFIX)) {
      Matcher causes = SCRIPT_ERROR.matcher(message);
      while (causes.find()) {
        line = causes.group(1).strip();
      }
    }
    return line.length() <= MAX_DETAIL_LENGTH
        ? line
        : line.substring(0, MAX_DETAIL_LENGTH) + " ...";
  }
}
