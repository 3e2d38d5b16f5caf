package dev.dcgan.trainer.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import java.io.IOException;
import java.util.Set;

/** A published generator in ONNX Runtime on the CPU, for evaluation. It holds native memory. */
public final class PublishedOnnxGenerator implements AutoCloseable {

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final ModelBundle bundle;

  private PublishedOnnxGenerator(
      OrtEnvironment environment, OrtSession session, ModelBundle bundle) {
    this.environment = environment;
    this.session = session;
    this.bundle = bundle;
  }

  /**
   * Loads a version.
   *
   * @throws IOException if the model cannot be read, or ONNX Runtime cannot load it
   */
  public static PublishedOnnxGenerator open(ModelBundle bundle) throws IOException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      ModelFile onnx = bundle.openModel();
      onnx.requireSelfContained();
      PublishedOnnxGenerator generator =
          new PublishedOnnxGenerator(
              environment, environment.createSession(onnx.path().toString(), options), bundle);
      try {
        onnx.requireUnchanged();
      } catch (IOException e) {
        generator.close();
        throw e;
      }
      return generator;
    } catch (OrtException e) {
      throw cannotRun(bundle, e);
    }
  }

  /**
   * Generates n images.
   *
   * @param latents (n, latent), row-major
   * @param labels (n), each the label of a class or a mixture of two; empty without classes
   * @return uint8 (n, height, width, channels)
   * @throws IOException if ONNX Runtime fails
   */
  public byte[] pixels(float[] latents, long[] labels, int n) throws IOException {
    try (GeneratorInputs inputs = GeneratorInputs.of(environment, latents, labels, n);
        OrtSession.Result result =
            session.run(inputs.tensors(), Set.of(GeneratorExporter.PIXELS))) {
      byte[] pixels = new byte[n * bundle.shape().values()];
      ((OnnxTensor) result.get(0)).getByteBuffer().get(pixels);
      return pixels;
    } catch (OrtException e) {
      throw cannotRun(bundle, e);
    }
  }

  private static IOException cannotRun(ModelBundle bundle, OrtException e) {
    return new IOException(
        "cannot run %s in ONNX Runtime: %s".formatted(bundle, e.getMessage()), e);
  }

  @Override
  public void close() throws IOException {
    try {
      session.close();
    } catch (OrtException e) {
      throw cannotRun(bundle, e);
    }
  }
}
