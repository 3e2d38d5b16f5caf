package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtException.OrtErrorCode;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Messages as users of ONNX Runtime reported them, or as its sources format them. */
class RuntimeFailureTest {

  private static final String CUDA_CALL =
      "Non-zero status code returned while running ConvTranspose node. Name:'up1' Status Message:"
          + " /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129"
          + " std::conditional_t<THRW, void, onnxruntime::common::Status>"
          + " onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const"
          + " char*, int) [with ERRTYPE = cudaError; bool THRW = true] ";
  private static final String WHERE =
      " ; GPU=0 ; hostname=egg ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/x.cc ;"
          + " line=73 ; expr=";
  private static final String ARENA =
      "Non-zero status code returned while running Conv node. Name:'c' Status Message:"
          + " /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void*"
          + " onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool,"
          + " onnxruntime::WaitNotificationFn) ";

  @ParameterizedTest
  @ValueSource(
      strings = {
        ARENA + "Failed to allocate memory for requested buffer of size 2830172160",
        ARENA + "Available memory of 0 is smaller than requested bytes of 135383040",
        ARENA + "Failed to find a free memory block despite calling Extend. rounded_bytes=1024",
        CUDA_CALL + "CUDA failure 2: out of memory" + WHERE + "cudaMalloc((void**)&p, size);",
        "Exception during initialization: CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"
            + WHERE
            + "cublasCreate(&cublas_handle_);",
        "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED" + WHERE + "cublasCreate(&handle);",
        "CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED" + WHERE + "cudnnCreate(&cudnn_handle_);",
        "CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED" + WHERE + "cudnnCreate(&handle_);",
        "CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR" + WHERE + "cudnnCreate(&cudnn_handle_);",
        "CUDNN failure 4003: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED" + WHERE + "x();",
        "CUDNN failure 4004: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED" + WHERE + "x();",
        "std::bad_alloc",
        "Not enough memory",
        "bad allocation"
      })
  void failedAllocation_isOutOfMemory_inAnySpelling(String message) {
    assertThat(kind(message)).isEqualTo(Kind.OUT_OF_MEMORY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "CUDA failure 719: unspecified launch failure" + WHERE + "cudaMemcpyAsync(dst, src, n);",
        "CUDA failure 700: an illegal memory access was encountered" + WHERE + "cudaFree(p);",
        "CUDA failure 999: unknown error" + WHERE + "cudaSetDevice(info_.device_id);",
        "CUDA failure 46: CUDA-capable device(s) is/are busy or unavailable" + WHERE + "x();",
        "CUDA failure 214: uncorrectable ECC error encountered" + WHERE + "x();",
        "CUDA failure 100: no CUDA-capable device is detected" + WHERE + "cudaSetDevice(0);",
        "CUDA failure 710: device-side assert triggered" + WHERE + "x();",
        "CUDA failure 4: driver shutting down" + WHERE + "x();",
        "CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED" + WHERE + "cublasGemmHelper();",
        "CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED" + WHERE + "cudnnConvolutionForward();",
        "CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED_CUDART" + WHERE + "x();",
        "CUDA error: all CUDA-capable devices are busy or unavailable",
        "CUDA error cudaErrorLaunchFailure:unspecified launch failure",
        "Unable to determine the device handle: GPU is lost"
      })
  void deviceError_isDeviceLost_fromAnyLibrary(String message) {
    assertThat(kind(CUDA_CALL + message)).isEqualTo(Kind.DEVICE_LOST);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "CUDA failure 209: no kernel image is available for execution on the device" + WHERE + "x",
        "CUDA failure 1: invalid argument" + WHERE + "cudaMemcpyAsync(out of memory);",
        "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version" + WHERE,
        "CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED" + WHERE + "x();",
        "CUDNN_FE failure 8: HEURISTIC_QUERY_FAILED" + WHERE + "create_execution_plans();",
        "CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR" + WHERE + "x();"
      })
  void otherLibraryErrors_areNoFaultOfTheModel(String message) {
    assertThat(kind(CUDA_CALL + message)).isEqualTo(Kind.OTHER);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "No graph was found in the protobuf.",
        "Load model from model.onnx failed:Protobuf parsing failed.",
        "Fatal error: x:Foo(-1) is not a registered function/op",
        "This session contains graph nodes that are assigned to the default CPU EP, but fallback to"
            + " CPU EP has been explicitly disabled by the user."
      })
  void otherMessages_areBadModels(String message) {
    assertThat(kind(message)).isEqualTo(Kind.BAD_MODEL);
  }

  @Test
  void codeOfAResetDevice_isDeviceLost() {
    assertThat(RuntimeFailure.of(new OrtException(OrtErrorCode.ORT_DEVICE_RESET, "reset")).kind())
        .isEqualTo(Kind.DEVICE_LOST);
  }

  @Test
  void causes_areClassified() {
    OrtException lost = new OrtException("CUDA failure 719: unspecified launch failure ; GPU=0");
    assertThat(RuntimeFailure.of(new IllegalStateException("a batch", new IOException(lost))))
        .returns(Kind.DEVICE_LOST, Failure::kind)
        .returns("CUDA failure 719: unspecified launch failure", Failure::summary);
    assertThat(RuntimeFailure.of(new IOException(new OutOfMemoryError("Java heap space"))))
        .returns(Kind.OUT_OF_MEMORY, Failure::kind);
  }

  @Test
  void failuresOfOthers_areFaults() {
    assertThat(RuntimeFailure.of(new IllegalStateException("out of memory: not at all")))
        .returns(Kind.FAULT, Failure::kind)
        .returns("IllegalStateException: out of memory: not at all", Failure::summary);
    assertThat(RuntimeFailure.of(new IllegalStateException()).summary())
        .startsWith("IllegalStateException");
  }

  @Test
  void summary_isOneShortLine() {
    String message = "Load model failed: " + "x".repeat(1000) + "\nStacktrace:\nlibonnxruntime.so";
    assertThat(RuntimeFailure.of(new OrtException(message)).summary())
        .startsWith("Load model failed")
        .hasSizeLessThan(400)
        .doesNotContain("\n", "Stacktrace");
    assertThat(
            RuntimeFailure.of(
                    new OrtException(
                        ARENA + "Available memory of 0 is smaller than requested bytes of 8"))
                .summary())
        .isEqualTo("Available memory of 0 is smaller than requested bytes of 8");
  }

  private static Kind kind(String message) {
    return RuntimeFailure.of(new IllegalStateException(new OrtException(message))).kind();
  }
}
