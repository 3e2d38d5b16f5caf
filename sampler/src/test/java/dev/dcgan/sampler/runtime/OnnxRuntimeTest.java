package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession.SessionOptions;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class OnnxRuntimeTest {

  @Test
  void operatorOnTheCpu_isAnErrorThatNamesTheModel() throws Exception {
    byte[] onnx = TestModels.onnx(TestModels.weights(1, 1));
    try (SessionOptions options = OnnxRuntime.options(RuntimeSettings.cpu(1), 0)) {
      // Without another provider all operators run on the CPU.
      OnnxRuntime.disableCpuFallback(options);
      OrtException refused =
          catchThrowableOfType(
              OrtException.class,
              () -> OnnxRuntime.ENVIRONMENT.createSession(onnx, options).close());
      assertThat(OnnxRuntime.isCpuFallback(refused)).isTrue();
      IOException failure = OnnxSession.cannotOpen(Path.of("models/m/1"), refused);
      assertThat(failure)
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContaining("models/m/1")
          .hasMessageContaining("--provider cpu");
      assertThat(failure.getMessage()).doesNotContain("\n");
    }
    assertThat(OnnxRuntime.isCpuFallback(new OrtException("No graph was found"))).isFalse();
  }

  @Test
  void reason_isOneLine_withoutTheSourceLocation() {
    // ONNX Runtime 1.29's message for an absent device.
    String message =
        "Error code - ORT_FAIL - message: /onnxruntime_src/cuda/cuda_execution_provider_info.cc:62"
            + " static FromProviderOptions(const ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL :"
            + " provider_options_utils.h:187 Parse Failed to parse provider option \"device_id\":"
            + " Invalid device ID: 255, must be between 0 (inclusive) and 1 (exclusive).\n\n";
    assertThat(OnnxRuntime.reason(new OrtException(message)))
        .startsWith("provider_options_utils.h:187 Parse Failed to parse")
        .endsWith("between 0 (inclusive) and 1 (exclusive).");
    assertThat(OnnxRuntime.reason(new OrtException("Failed to find CUDA\nstack")))
        .isEqualTo("Failed to find CUDA");
    assertThat(
            OnnxRuntime.reason(
                new OrtException(
                    "Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:192"
                        + " onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::Map<int,"
                        + " char>&) Unsupported model IR version: 99, max supported: 13")))
        .isEqualTo(
            "Load model from m.onnx failed: Unsupported model IR version: 99, max supported: 13");
  }

  /** By the list of kernels that ONNX Runtime's CUDA provider registers. */
  @Test
  void exportedGraph_hasOnlyOperatorsWithACudaKernel() throws Exception {
    ModelProto model = ModelProto.parseFrom(TestModels.onnx(TestModels.weights(3, 1)));
    assertThat(model.getOpsetImport(0).getVersion()).isEqualTo(17);
    assertThat(model.getGraph().getNodeList())
        .extracting(NodeProto::getOpType)
        .isSubsetOf(
            "Reshape", // 14 to 18
            "ConvTranspose", // 11 to 21, float; with symmetric padding only
            "Relu", // 14, float
            "Tanh", // 13, float
            "Add", // 14, float
            "Mul", // 14, float
            "Round", // 11 to 21, float
            "Clip", // 13, float; limits are scalars
            "Cast", // 13 to 18, float to uint8
            "Transpose"); // 13, any type
  }
}
