package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Classifies failures of ONNX Runtime. Its error codes do not distinguish them: nearly all are
 * FAIL, RUNTIME_EXCEPTION or EP_FAIL, so the message decides.
 *
 * <p>Sources: {@code cuda_call.cc} of ONNX Runtime 1.29 writes "LIBRARY failure CODE: TEXT ; GPU=..
 * ; hostname=.. ; file=.. ; line=.. ; expr=..", often after "Non-zero status code returned while
 * running ... Status Message: "; {@code bfc_arena.cc} has its own spellings of failed allocations.
 * Codes and texts are those of libcudart 12.9, cuBLAS 12 and cuDNN 9.
 */
public final class RuntimeFailure {

  private static final int MAX_SUMMARY = 300;
  private static final String NO_MESSAGE = "no message";

  private static final Pattern CALL =
      Pattern.compile("\\b(CUDA|CUDNN|CUBLAS|CUDNN_FE|CUFFT|CURAND) failure (\\d+): ([^;\\r\\n]*)");

  private static final int CUDA_OUT_OF_MEMORY = 2;

  /**
   * CUDA's error codes after which "the process must be terminated and relaunched", or which say
   * that the device or its driver is gone.
   */
  private static final Set<Integer> CUDA_DEVICE_LOST =
      Set.of(
          3, // initialization error
          4, // driver shutting down
          46, // CUDA-capable device(s) is/are busy or unavailable
          100, // no CUDA-capable device is detected
          101, // invalid device ordinal
          201, // invalid device context
          214, // uncorrectable ECC error encountered
          220, // uncorrectable NVLink error detected during the execution
          226, // Invalid access of peer GPU memory over nvlink or a hardware error
          304, // OS call failed: the device's file is gone
          700, // an illegal memory access was encountered
          702, // the launch timed out and was terminated
          709, // context is destroyed
          710, // device-side assert triggered
          714, // hardware stack error
          715, // an illegal instruction was encountered
          716, // misaligned address
          717, // operation not supported on global/shared address space
          718, // invalid program counter
          719, // unspecified launch failure
          721, // tensor memory not completely freed
          802, // system not yet initialized
          803, // system has unsupported display driver / cuda driver combination
          805, // MPS client failed to connect
          806, // MPS remote procedural call failed
          807, // MPS server is not ready
          810, // the MPS client has been terminated by the server
          999); // unknown error

  // cuBLAS and cuDNN report NOT_INITIALIZED if there is no memory for a handle; cuDNN may also
  // report INTERNAL_ERROR from cudnnCreate.
  private static final Pattern OUT_OF_MEMORY =
      Pattern.compile(
          String.join(
              "|",
              "failed to allocate memory",
              "available memory of \\d+ is smaller than requested",
              "failed to find a free memory block",
              "\\bout of memory\\b",
              "CUDA_ERROR_OUT_OF_MEMORY",
              "\\b(std::)?bad_alloc\\b",
              "\\bbad allocation\\b",
              "not enough memory",
              "CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)",
              "CUDNN_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)",
              "CUDNN_STATUS_INTERNAL_ERROR_(HOST|DEVICE)_ALLOCATION_FAILED",
              "CUDNN_STATUS_INTERNAL_ERROR ;.*expr=cudnnCreate\\("),
          Pattern.CASE_INSENSITIVE);

  // Reports without "CUDA failure CODE", and the libraries' names for a failed kernel.
  private static final Pattern DEVICE_LOST =
      Pattern.compile(
          String.join(
              "|",
              "ORT_DEVICE_RESET",
              "CUBLAS_STATUS_(EXECUTION_FAILED|MAPPING_ERROR)",
              "CUDNN_STATUS_(EXECUTION_FAILED|MAPPING_ERROR)",
              "unspecified launch failure",
              "an illegal (memory access|instruction) was encountered",
              "misaligned address",
              "device-side assert",
              "(uncorrectable|double.bit) ECC error",
              "uncorrectable NVLink error",
              "GPU is lost",
              "fallen off the bus",
              "busy or unavailable",
              "no CUDA-capable device",
              "driver shutting down",
              "the launch timed out and was terminated"),
          Pattern.CASE_INSENSITIVE);

  // As ONNX Runtime or its plugin API writes it.
  private static final Pattern DEVICE_LIBRARY =
      Pattern.compile("\\b(CUDA|CUDNN|CUBLAS|CUDNN_FE|CUFFT|CURAND)( failure| error|_STATUS_)");

  private RuntimeFailure() {}

  /** Classifies a failure by its first cause that ONNX Runtime or the JVM has thrown. */
  public static Failure of(Throwable failure) {
    for (Throwable cause : chain(failure)) {
      if (cause instanceof OutOfMemoryError) {
        return new Failure(Kind.OUT_OF_MEMORY, summary(cause));
      }
      if (cause instanceof OrtException) {
        return new Failure(kind(String.valueOf(cause.getMessage())), summary(cause));
      }
    }
    return new Failure(Kind.FAULT, summary(failure));
  }

  /**
   * What a failed {@link OnnxModel#run} says about a version, for those who load or export it.
   *
   * @return invalid if ONNX Runtime rejects the model; otherwise a retry may succeed
   * @throws RuntimeException the fault itself, if it is not ONNX Runtime's
   */
  public static IOException ofRun(Path folder, RuntimeException fault) {
    if (fault.getCause() instanceof OrtException e) {
      return cannot("run", folder, e);
    }
    throw fault;
  }

  /** As {@link #ofRun}, for any call of ONNX Runtime: {@code verb} says what it cannot do. */
  static IOException cannot(String verb, Path folder, OrtException e) {
    Failure failure = of(e);
    String message =
        "cannot %s %s: ONNX Runtime reports: %s".formatted(verb, folder, failure.summary());
    return failure.kind() == Kind.BAD_MODEL
        ? new InvalidModelException(message, e)
        : new IOException(message, e);
  }

  private static Kind kind(String message) {
    Matcher call = CALL.matcher(message);
    // The last match counts: a message may quote the calls that led to it.
    Integer code = null;
    while (call.find()) {
      code = call.group(1).equals("CUDA") ? code(call.group(2)) : null;
    }
    if (code != null) {
      return code == CUDA_OUT_OF_MEMORY
          ? Kind.OUT_OF_MEMORY
          : CUDA_DEVICE_LOST.contains(code) ? Kind.DEVICE_LOST : Kind.OTHER;
    }
    // Memory first: it is the milder failure, and a lost device fails again soon.
    if (OUT_OF_MEMORY.matcher(message).find()) {
      return Kind.OUT_OF_MEMORY;
    }
    if (DEVICE_LOST.matcher(message).find()) {
      return Kind.DEVICE_LOST;
    }
    return DEVICE_LIBRARY.matcher(message).find() ? Kind.OTHER : Kind.BAD_MODEL;
  }

  private static @Nullable Integer code(String digits) {
    return digits.length() > 6 ? null : Integer.valueOf(digits);
  }

  /** One line without the stack trace and host name of ONNX Runtime's messages. */
  static String summary(Throwable failure) {
    String message = String.valueOf(failure.getMessage());
    Matcher call = CALL.matcher(message);
    String found = null;
    while (call.find()) {
      found = call.group().strip();
    }
    if (found != null) {
      return found;
    }
    String line = message.lines().filter(l -> !l.isBlank()).findFirst().orElse(NO_MESSAGE);
    return shortened(failure instanceof OrtException e ? reason(e, line) : named(failure, line));
  }

  /** ONNX Runtime's message without the source location. */
  private static String reason(OrtException failure, String line) {
    Matcher memory = OUT_OF_MEMORY.matcher(line);
    return memory.find() ? line.substring(memory.start()) : OnnxRuntime.reason(failure);
  }

  private static String named(Throwable failure, String line) {
    return failure.getClass().getSimpleName() + ": " + line;
  }

  private static String shortened(String text) {
    return text.length() <= MAX_SUMMARY ? text : text.substring(0, MAX_SUMMARY) + " ...";
  }

  private static List<Throwable> chain(Throwable failure) {
    return Stream.iterate(failure, e -> e != null, Throwable::getCause)
        .limit(20) // A chain of causes may be cyclic.
        .toList();
  }
}
