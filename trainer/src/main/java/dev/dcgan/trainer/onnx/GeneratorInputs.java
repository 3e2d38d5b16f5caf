package dev.dcgan.trainer.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** The inputs of an exported generator for one run, by name. It holds native memory. */
record GeneratorInputs(Map<String, OnnxTensor> tensors) implements AutoCloseable {

  /**
   * Creates the inputs for n images.
   *
   * @param latents (n, latent), row-major
   * @param labels (n); empty if the generator is not conditional
   */
  static GeneratorInputs of(OrtEnvironment environment, float[] latents, long[] labels, int n)
      throws OrtException {
    GeneratorInputs inputs = new GeneratorInputs(new LinkedHashMap<>());
    try {
      long[] shape = {n, latents.length / n};
      inputs.tensors.put(
          GeneratorExporter.INPUT,
          OnnxTensor.createTensor(environment, FloatBuffer.wrap(latents), shape));
      if (labels.length > 0) {
        inputs.tensors.put(
            GeneratorExporter.LABEL,
            OnnxTensor.createTensor(environment, LongBuffer.wrap(labels), new long[] {n}));
      }
      return inputs;
    } catch (OrtException | RuntimeException e) {
      inputs.close();
      throw e;
    }
  }

  @Override
  public void close() {
    tensors.values().forEach(OnnxTensor::close);
  }
}
