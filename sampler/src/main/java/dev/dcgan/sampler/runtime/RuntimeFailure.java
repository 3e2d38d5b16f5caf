package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a failure of ONNX Runtime means. Its error codes do not tell: nearly all are FAIL,
 * RUNTIME_EXCEPTION or EP_FAIL, so the message decides.
 *
 * <p>Sources: {@code cuda_call.cc} of ONNX Runtime 1.29 writes "LIBRARY failure CODE: TEXT ; GPU=..
 * ; hostname=.. ; file=.. ; line=.. ; expr=..", often after "Non-zero status code returned while
 * running ... Status Message: "; {@code bfc_arena.cc} has spellings of its own for memory. Codes
 * and texts are those of libcudart 12.9, cuBLAS 12 and cuDNN 9.
 */
public final class RuntimeFailure {

  private static final int MAX_SUMMARY = 300;
  private static final String NO_MESSAGE = "no message";

  private static final Pattern CALL =
      Pattern.compile("\\b(CUDA|CUDNN|CUBLAS|CUDNN_FE|CUFFT|CURAND) failure (\\d+): ([^;\\r\\n]*)");

  private static final int CUDA_OUT_OF_MEMORY = 2;

  /**
   * CUDA's codes after which "the process must be terminated and relaunched", or which say that the
   * device or its driver is not there any more.
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

  // cuBLAS and cuDNN say NOT_INITIALIZED where a handle finds no memory; so does cuDNN, by a bare
  // INTERNAL_ERROR of cudnnCreate.
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

  // Whoever reports without "CUDA failure CODE", and the libraries' own names for a failed kernel.
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

  // Of ONNX Runtime, or of the plugin API.
  private static final Pattern DEVICE_LIBRARY =
      Pattern.compile("\\b(CUDA|CUDNN|CUBLAS|CUDNN_FE|CUFFT|CURAND)( failure| error|_STATUS_)");

  private RuntimeFailure() {}

  /** What a failure means, by it and its causes. */
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

  private static Kind kind(String message) {
    Matcher call = CALL.matcher(message);
    // The last one: a message may quote the calls that it went through.
    Integer code = null;
    while (call.find()) {
      code = call.group(1).equals("CUDA") ? code(call.group(2)) : null;
    }
    if (code != null) {
      return code == CUDA_OUT_OF_MEMORY
          ? Kind.OUT_OF_MEMORY
          : CUDA_DEVICE_LOST.contains(code) ? Kind.DEVICE_LOST : Kind.OTHER;
    }
    // Memory first: it is the milder of the two, and a device that is lost soon says so again.
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

  /** One line, without the stack and the host's name that ONNX Runtime's messages have. */
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
    return shortened(failure instanceof OrtException e ? words(e, line) : named(failure, line));
  }

  /** ONNX Runtime's own, without the place in its sources. */
  private static String words(OrtException failure, String line) {
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
        .limit(20) // A chain may be a ring.
        .toList();
  }
}
