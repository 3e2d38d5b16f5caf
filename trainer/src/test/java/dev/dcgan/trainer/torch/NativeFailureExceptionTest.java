package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import dev.dcgan.trainer.torch.NativeFailureException.Kind;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NativeFailureExceptionTest {

  /** As PyTorch 2.x, CUDA 12, cuBLAS and cuDNN write them; \n for a line's end. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          OUT_OF_MEMORY | CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.25 GiB is free.
          OUT_OF_MEMORY | CUDA error: out of memory\\nCUDA kernel errors might be asynchronously reported at some other API call
          OUT_OF_MEMORY | CUDA driver error: out of memory
          OUT_OF_MEMORY | CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`
          OUT_OF_MEMORY | CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`
          OUT_OF_MEMORY | cuDNN error: CUDNN_STATUS_ALLOC_FAILED
          OUT_OF_MEMORY | cuDNN error: CUDNN_STATUS_NOT_INITIALIZED
          OUT_OF_MEMORY | cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
          OUT_OF_MEMORY | NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda/CUDACachingAllocator.cpp":1016, please report a bug to PyTorch.
          OUT_OF_MEMORY | [enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4398046511104 bytes. Error code 12 (Cannot allocate memory)
          OUT_OF_MEMORY | std::bad_alloc
          DEVICE_LOST   | CUDA error: an illegal memory access was encountered\\nCUDA kernel errors might be asynchronously reported at some other API call
          DEVICE_LOST   | CUDA error: unspecified launch failure
          DEVICE_LOST   | CUDA error: uncorrectable ECC error encountered
          DEVICE_LOST   | CUDA error: uncorrectable NVLink error detected during the execution
          DEVICE_LOST   | CUDA error: hardware stack error
          DEVICE_LOST   | CUDA error: misaligned address
          DEVICE_LOST   | CUDA error: device-side assert triggered
          DEVICE_LOST   | CUDA error: the launch timed out and was terminated
          DEVICE_LOST   | CUDA error: CUDA-capable device(s) is/are busy or unavailable
          DEVICE_LOST   | CUDA error: no CUDA-capable device is detected
          DEVICE_LOST   | CUDA error: no kernel image is available for execution on the device
          DEVICE_LOST   | CUDA error: unknown error
          DEVICE_LOST   | CUDA driver error: unknown error
          DEVICE_LOST   | CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start.
          DEVICE_LOST   | CUDA driver initialization failed, you might not have a CUDA gpu.
          DEVICE_LOST   | No CUDA GPUs are available
          DEVICE_LOST   | Found no NVIDIA driver on your system.
          DEVICE_LOST   | CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc)`
          DEVICE_LOST   | CUDA error: CUBLAS_STATUS_INTERNAL_ERROR when calling `cublasCreate(handle)`
          DEVICE_LOST   | cuDNN error: CUDNN_STATUS_EXECUTION_FAILED
          DEVICE_LOST   | cuDNN error: CUDNN_STATUS_INTERNAL_ERROR
          DEVICE_LOST   | cuDNN error: CUDNN_STATUS_MAPPING_ERROR
          OTHER         | mat1 and mat2 shapes cannot be multiplied (3x3 and 4x4)
          OTHER         | Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!
          OTHER         | Could not run 'aten::empty_strided' with arguments from the 'CUDA' backend.
          OTHER         | Failed to load PyTorch native library
          """)
  void of_isOfTheKindThatItsMessageSays(Kind kind, String message) {
    String lines = message.replace("\\n", "\n");

    NativeFailureException failure = NativeFailureException.of(new EngineException(lines));

    assertThat(failure.kind()).isEqualTo(kind);
    assertThat(failure.getMessage())
        .endsWith(": " + lines.lines().findFirst().orElseThrow())
        .hasLineCount(1);
  }

  @Test
  void of_whatTorchScriptReports_tellsTheErrorBelowTheTrace() throws Exception {
    TrainingDevice.select("cpu");
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray ones = manager.ones(new Shape(3, 3));
      PtSymbolBlock huge =
          TorchScript.load(
              manager,
              List.of(
                  Function.ofTensors(
                      "forward",
                      List.of("x"),
                      "return torch.repeat_interleave(x, 1000000000000, 0)")));

      assertThatExceptionOfType(NativeFailureException.class)
          .isThrownBy(
              () ->
                  NativeFailureException.reporting(
                      () -> IValueUtils.forward(huge, new NDList(ones), true)))
          .satisfies(e -> assertThat(e.kind()).isEqualTo(Kind.OUT_OF_MEMORY))
          .withMessageStartingWith("out of memory: ")
          .withMessageContaining("DefaultCPUAllocator")
          .withMessageNotContainingAny("TorchScript", "\n");
    }
  }

  @Test
  void find_looksAtTheCauses() {
    EngineException engine = new EngineException("CUDA error: unspecified launch failure");

    assertThat(NativeFailureException.find(new IllegalStateException("reading", engine)))
        .hasValueSatisfying(found -> assertThat(found.kind()).isEqualTo(Kind.DEVICE_LOST));
    assertThat(NativeFailureException.find(new IOException("CUDA out of memory"))).isEmpty();
  }

  @Test
  void detail_isCutToALineOfALog() {
    assertThat(NativeFailureException.detail("x".repeat(10_000))).hasSizeLessThan(500);
  }
}
