package dev.dcgan.sampler.runtime;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.sampler.graph.ModelGraph;
import java.io.IOException;

/** Model files that ONNX Runtime may open: of one file each, with an allowed, bounded graph. */
final class CheckedModel {

  private CheckedModel() {}

  /**
   * The model of a version.
   *
   * @param maxBatch images of the largest run
   * @throws InvalidModelException it differs from its manifest, has external data, is not allowed,
   *     or needs too much memory for the largest run
   */
  static ModelFile of(ModelBundle bundle, RuntimeSettings settings, int maxBatch)
      throws IOException {
    ModelFile onnx = bundle.openModel();
    int unused = largestBatch(onnx, maxBatch, maxBatch, settings.activationBytes());
    return onnx;
  }

  /**
   * The largest batch that a file may run.
   *
   * @throws InvalidModelException as for {@link #of}, or if it is smaller than {@code minBatch}
   */
  static int largestBatch(ModelFile onnx, int minBatch, int maxBatch, long activationBytes)
      throws IOException {
    onnx.requireSelfContained();
    return ModelGraph.read(onnx.path()).largestBatch(minBatch, maxBatch, activationBytes);
  }
}
