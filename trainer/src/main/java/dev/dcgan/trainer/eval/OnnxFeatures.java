package dev.dcgan.trainer.eval;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import dev.dcgan.model.ImageShape;
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
 * The features that an ONNX model makes of pictures: an export of Inception, say.
 *
 * <p>The model has one input, float (N, C, H, W) with C 1 or 3, and an output, float (N, d) or (N,
 * d, 1, 1), the first that is one. N, C, H and W may be open. Pictures of another size are resized
 * bilinearly (pixel centres at halves, no smoothing before shrinking); grey becomes three equal
 * channels, and colour one, by Rec. 601's luma. Values are in [-1, 1] unless the model's metadata
 * has {@code normalisation} of {@code [0,1]} or {@code [0,255]}.
 */
public final class OnnxFeatures implements FeatureExtractor {

  private static final String NORMALISATION = "normalisation";
  private static final int OPEN = -1;

  // Of one run's input, 16 MiB: what a large model makes of it on the way is much more.
  private static final int RUN_VALUES = 1 << 22;

  /** From x in [0, 255] to x * scale + offset. */
  private enum Range {
    SIGNED("[-1,1]", 1 / 127.5f, -1),
    UNIT("[0,1]", 1 / 255f, 0),
    BYTE("[0,255]", 1, 0);

    private final String name;
    private final float scale;
    private final float offset;

    Range(String name, float scale, float offset) {
      this.name = name;
      this.scale = scale;
      this.offset = offset;
    }
  }

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
   * @throws IOException ONNX Runtime cannot load it, or its inputs, outputs or metadata are not
   *     such as above; the message names the file
   */
  public static OnnxFeatures open(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException(file + ": no such file; expected an ONNX model with features");
    }
    // The environment is the process's own and outlives every session.
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
      throw new IOException(file + " does not load: " + e.getMessage(), e);
    }
  }

  private static Input input(Path file, OrtSession session) throws IOException, OrtException {
    Map<String, NodeInfo> inputs = session.getInputInfo();
    if (inputs.size() == 1) {
      NodeInfo node = inputs.values().iterator().next();
      if (node.getInfo() instanceof TensorInfo tensor && tensor.type == OnnxJavaType.FLOAT) {
        long[] dims = tensor.getShape();
        if (dims.length == 4 && (dims[1] == OPEN || dims[1] == 1 || dims[1] == 3)) {
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
        "%s takes %s; expected one input, float (N, C, H, W) with C 1 or 3"
            .formatted(file, describe(inputs)));
  }

  private static Range range(Path file, OrtSession session) throws IOException, OrtException {
    String name =
        session.getMetadata().getCustomMetadata().getOrDefault(NORMALISATION, Range.SIGNED.name);
    return Arrays.stream(Range.values())
        .filter(range -> range.name.equals(name.replace(" ", "")))
        .findFirst()
        .orElseThrow(
            () ->
                new IOException(
                    "%s has %s '%s' in its metadata; expected [-1,1], [0,1], [0,255] or none"
                        .formatted(file, NORMALISATION, name)));
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
                    "%s gives %s; expected an output of features, float (N, d) or (N, d, 1, 1)"
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
                    : "'" + node.getName() + "', no tensor")
        .collect(Collectors.joining(" and "));
  }

  @Override
  public String name() {
    return file.getFileName().toString();
  }

  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) throws IOException {
    int channels = input.channels == OPEN ? shape.channels() : input.channels;
    int height = input.height == OPEN ? shape.height() : input.height;
    int width = input.width == OPEN ? shape.width() : input.width;
    ImageShape target = new ImageShape(height, width, channels);
    int batch =
        input.batch == OPEN ? Math.max(1, Math.min(n, RUN_VALUES / target.values())) : input.batch;
    List<Matrix> features = new ArrayList<>();
    for (int first = 0; first < n; first += batch) {
      int last = Math.min(first + batch, n);
      byte[] part = Arrays.copyOfRange(pixels, first * shape.values(), last * shape.values());
      float[] images = images(part, last - first, shape, target);
      // A model of a fixed batch gets its last one filled up with zeros.
      int rows = input.batch == OPEN ? last - first : batch;
      features.add(
          run(Arrays.copyOf(images, rows * target.values()), rows, target).first(last - first));
    }
    return new Features(Matrix.stack(features), null);
  }

  /** (n, channels, height, width) of the target, in the model's range. */
  private float[] images(byte[] pixels, int n, ImageShape shape, ImageShape target) {
    float[] planes =
        resize(
            PixelBlocks.planes(pixels, n, shape),
            shape.height(),
            shape.width(),
            target.height(),
            target.width());
    int area = target.height() * target.width();
    float[] images = channels(planes, n, shape.channels(), target.channels(), area);
    for (int i = 0; i < images.length; i++) {
      images[i] = images[i] * input.range.scale + input.range.offset;
    }
    return images;
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
            "%s gives features %s for %d pictures; expected (N, d) or (N, d, 1, 1)"
                .formatted(file, Arrays.toString(found), n));
      }
      for (float value : values) {
        if (!Float.isFinite(value)) {
          throw new IOException(
              "%s gives features of %s; are its inputs in the range that it expects?"
                  .formatted(file, value));
        }
      }
      return new Matrix(n, (int) found[1], values);
    } catch (OrtException e) {
      throw new IOException(
          "%s does not run on pictures of %s: %s"
              .formatted(file, Arrays.toString(dims), e.getMessage()),
          e);
    }
  }

  /** Resizes planes of h x w, all of them, bilinearly. */
  private static float[] resize(float[] planes, int h, int w, int height, int width) {
    if (h == height && w == width) {
      return planes;
    }
    int count = planes.length / (h * w);
    float[] resized = new float[count * height * width];
    for (int y = 0; y < height; y++) {
      float atY = position(y, height, h);
      int top = (int) atY;
      int bottom = Math.min(top + 1, h - 1);
      for (int x = 0; x < width; x++) {
        float atX = position(x, width, w);
        int left = (int) atX;
        int right = Math.min(left + 1, w - 1);
        for (int plane = 0; plane < count; plane++) {
          int from = plane * h * w;
          float upper =
              mix(planes[from + top * w + left], planes[from + top * w + right], atX - left);
          float lower =
              mix(planes[from + bottom * w + left], planes[from + bottom * w + right], atX - left);
          resized[(plane * height + y) * width + x] = mix(upper, lower, atY - top);
        }
      }
    }
    return resized;
  }

  /** Where the centre of pixel {@code i} of {@code size} falls among {@code from} pixels. */
  private static float position(int i, int size, int from) {
    return Math.max(0, Math.min(from - 1, (i + 0.5f) * from / size - 0.5f));
  }

  private static float mix(float a, float b, float share) {
    return a + (b - a) * share;
  }

  private static float[] channels(float[] planes, int n, int from, int to, int area) {
    if (from == to) {
      return planes;
    }
    float[] converted = new float[n * to * area];
    for (int image = 0; image < n; image++) {
      for (int i = 0; i < area; i++) {
        int at = image * from * area + i;
        float grey =
            from == 1
                ? planes[at]
                : 0.299f * planes[at] + 0.587f * planes[at + area] + 0.114f * planes[at + 2 * area];
        for (int c = 0; c < to; c++) {
          converted[(image * to + c) * area + i] = grey;
        }
      }
    }
    return converted;
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(file + " does not close: " + e.getMessage(), e);
    }
  }
}
