package dev.dcgan.trainer.eval;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.eval.ImagePreprocessor.Range;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Features computed by an ONNX model, for example an export of Inception.
 *
 * <p>The model has one input, float (N, C, H, W) with C 1 or 3. Its first output of shape float (N,
 * d) or (N, d, 1, 1) gives the features. N, C, H and W may be dynamic. Images of another size are
 * resized bilinearly (half-pixel centers, no antialiasing); grey is repeated in three channels, and
 * RGB converted to luma (Rec. 601). Values are in [-1, 1] unless the model's metadata has {@code
 * normalisation} of {@code [0,1]} or {@code [0,255]}.
 */
final class OnnxFeatures implements FeatureExtractor {

  private static final String NORMALISATION = "normalisation";
  private static final int DYNAMIC = -1;

  // 16 MiB of input per run: a large model's activations take much more.
  private static final int MAX_RUN_VALUES = 1 << 22;

  private record Input(String name, int batch, int channels, int height, int width, Range range) {}

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final Path file;
  private final Input input;
  private final String output;

  private OnnxFeatures(
      OrtEnvironment environment, OrtSession session, Path file, Input input, String output) {
    this.environment = environment;
    this.session = session;
    this.file = file;
    this.input = input;
    this.output = output;
  }

  /**
   * Opens a model.
   *
   * @throws IOException if ONNX Runtime cannot load it, or its inputs, outputs or metadata are not
   *     as described above; the message names the file
   */
  static OnnxFeatures open(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          "cannot open " + file + ": it does not exist; expected an ONNX model of features");
    }
    // The environment is shared by the process and outlives every session.
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      OrtSession session = environment.createSession(file.toString(), options);
      try {
        Input input = input(file, session);
        return new OnnxFeatures(environment, session, file, input, output(file, session));
      } catch (IOException | OrtException | RuntimeException e) {
        session.close();
        throw e;
      }
    } catch (OrtException e) {
      throw new IOException("cannot load " + file + ": " + e.getMessage(), e);
    }
  }

  private static Input input(Path file, OrtSession session) throws IOException, OrtException {
    Map<String, NodeInfo> inputs = session.getInputInfo();
    if (inputs.size() == 1) {
      NodeInfo node = inputs.values().iterator().next();
      if (node.getInfo() instanceof TensorInfo tensor && tensor.type == OnnxJavaType.FLOAT) {
        long[] dims = tensor.getShape();
        if (dims.length == 4 && (dims[1] == DYNAMIC || dims[1] == 1 || dims[1] == 3)) {
          return new Input(
              node.getName(),
              (int) dims[0],
              (int) dims[1],
              (int) dims[2],
              (int) dims[3],
              range(file, session));
        }
      }
    }
    throw new IOException(
        "cannot use %s: its inputs are %s; expected one input, float (N, C, H, W) with C 1 or 3"
            .formatted(file, describe(inputs)));
  }

  private static Range range(Path file, OrtSession session) throws IOException, OrtException {
    String name =
        session.getMetadata().getCustomMetadata().getOrDefault(NORMALISATION, Range.SIGNED.label());
    return Arrays.stream(Range.values())
        .filter(range -> range.label().equals(name.replace(" ", "")))
        .findFirst()
        .orElseThrow(
            () ->
                new IOException(
                    "cannot use %s: its metadata has %s '%s'; expected %s or none"
                        .formatted(file, NORMALISATION, name, Range.labels())));
  }

  private static String output(Path file, OrtSession session) throws IOException, OrtException {
    Map<String, NodeInfo> outputs = session.getOutputInfo();
    return outputs.values().stream()
        .filter(OnnxFeatures::isFeatures)
        .findFirst()
        .map(NodeInfo::getName)
        .orElseThrow(
            () ->
                new IOException(
                    "cannot use %s: its outputs are %s; expected features, float (N, d) or (N, d, 1, 1)"
                        .formatted(file, describe(outputs))));
  }

  private static boolean isFeatures(NodeInfo node) {
    if (!(node.getInfo() instanceof TensorInfo tensor) || tensor.type != OnnxJavaType.FLOAT) {
      return false;
    }
    long[] dims = tensor.getShape();
    return dims.length == 2 || (dims.length == 4 && Math.max(dims[2], dims[3]) <= 1);
  }

  private static String describe(Map<String, NodeInfo> nodes) {
    return nodes.values().stream()
        .map(
            node ->
                node.getInfo() instanceof TensorInfo tensor
                    ? "'%s' of %s %s"
                        .formatted(node.getName(), tensor.type, Arrays.toString(tensor.getShape()))
                    : "'" + node.getName() + "', not a tensor")
        .collect(Collectors.joining(" and "));
  }

  @Override
  public String name() {
    return file.getFileName().toString();
  }

  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) throws IOException {
    int channels = input.channels == DYNAMIC ? shape.channels() : input.channels;
    int height = input.height == DYNAMIC ? shape.height() : input.height;
    int width = input.width == DYNAMIC ? shape.width() : input.width;
    ImageShape target = new ImageShape(height, width, channels);
    int batch =
        input.batch == DYNAMIC
            ? Math.max(1, Math.min(n, MAX_RUN_VALUES / target.values()))
            : input.batch;
    List<Matrix> features = new ArrayList<>();
    for (int first = 0; first < n; first += batch) {
      int last = Math.min(first + batch, n);
      byte[] part = Arrays.copyOfRange(pixels, first * shape.values(), last * shape.values());
      float[] images = ImagePreprocessor.convert(part, last - first, shape, target, input.range);
      // A model with a fixed batch size gets its last batch padded with zeros.
      int rows = input.batch == DYNAMIC ? last - first : batch;
      features.add(
          run(Arrays.copyOf(images, rows * target.values()), rows, target).first(last - first));
    }
    return new Features(Matrix.stack(features), null);
  }

  private Matrix run(float[] images, int n, ImageShape shape) throws IOException {
    long[] dims = {n, shape.channels(), shape.height(), shape.width()};
    try (OnnxTensor tensor = OnnxTensor.createTensor(environment, FloatBuffer.wrap(images), dims);
        OrtSession.Result result = session.run(Map.of(input.name, tensor), Set.of(output))) {
      OnnxTensor features = (OnnxTensor) result.get(0);
      long[] found = features.getInfo().getShape();
      float[] values = features.getFloatBuffer().array();
      if (found[0] != n || found[0] * found[1] != values.length) {
        throw new IOException(
            "cannot use %s: it returns features %s for %d images; expected (N, d) or (N, d, 1, 1)"
                .formatted(file, Arrays.toString(found), n));
      }
      for (float value : values) {
        if (!Float.isFinite(value)) {
          throw new IOException(
              "cannot use %s: it returns a feature of %s; check the input range that it expects"
                  .formatted(file, value));
        }
      }
      return new Matrix(n, (int) found[1], values);
    } catch (OrtException e) {
      throw new IOException(
          "cannot run %s on images of %s: %s"
              .formatted(file, Arrays.toString(dims), e.getMessage()),
          e);
    }
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("cannot close " + file + ": " + e.getMessage(), e);
    }
  }
}
