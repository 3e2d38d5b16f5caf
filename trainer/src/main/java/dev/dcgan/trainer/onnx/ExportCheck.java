package dev.dcgan.trainer.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.Pixels;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.v1.GoldenVector;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Runs an exported generator in ONNX Runtime and compares it with the original network on fixed
 * latents.
 *
 * <p>It also checks that images do not depend on the batch size, as the sampler guarantees.
 */
public final class ExportCheck {

  /** The maximum difference of an image from the network's, for values in [-1, 1]. */
  public static final float FLOAT_TOLERANCE = 1e-4f;

  /** The maximum difference of a pixel from the network's, in grey levels. */
  public static final int PIXEL_TOLERANCE = 1;

  /**
   * The result of a passed check.
   *
   * @param images the number of compared images
   * @param maxDifference the maximum difference of float values in [-1, 1]
   * @param maxPixelDifference the maximum difference of pixels, in grey levels
   * @param golden vectors for the manifest, with ONNX Runtime's pixels
   */
  public record Result(
      int images, float maxDifference, int maxPixelDifference, List<GoldenVector> golden) {

    public Result {
      golden = List.copyOf(golden);
    }
  }

  private record Point(long seed, long index) {}

  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
  private record Images(float[] floats, byte[] pixels) {}

  // The first points are the manifest's. -1 is the largest unsigned seed and index, 2^64 - 1.
  private static final int GOLDEN_VECTORS = 5;
  private static final List<Point> POINTS = points();
  private static final int[] BATCH_SIZES = {1, 7};

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final ImageShape shape;
  private final int latentSize;
  private final @Nullable ImageClasses classes;

  private ExportCheck(
      OrtEnvironment environment,
      OrtSession session,
      ImageShape shape,
      int latentSize,
      @Nullable ImageClasses classes) {
    this.environment = environment;
    this.session = session;
    this.shape = shape;
    this.latentSize = latentSize;
    this.classes = classes;
  }

  /**
   * Checks the model in {@code onnx}, a conditional one with labels and mixtures of two classes.
   *
   * @param classes null if the model is not conditional
   * @throws IOException if the model does not run, differs from the network by more than the
   *     tolerances (the message has both differences), or its images depend on the batch size
   */
  public static Result check(
      byte[] onnx,
      ImageShape shape,
      int latentSize,
      @Nullable ImageClasses classes,
      ImageGenerator<float[]> network)
      throws IOException {
    // The environment is shared by the process and outlives every session.
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        OrtSession session = environment.createSession(onnx, options)) {
      return new ExportCheck(environment, session, shape, latentSize, classes).compare(network);
    } catch (OrtException e) {
      throw new IOException("cannot run the exported model in ONNX Runtime: " + e.getMessage(), e);
    }
  }

  private Result compare(ImageGenerator<float[]> network) throws IOException, OrtException {
    float[] latents = new float[POINTS.size() * latentSize];
    for (int i = 0; i < POINTS.size(); i++) {
      Point point = POINTS.get(i);
      Latents.fill(point.seed(), point.index(), latents, i * latentSize, latentSize);
    }
    long[] labels = labels();
    Images actual = run(latents, labels);
    Images expected = withPixels(network.generate(latents, labels, POINTS.size()));
    float floats = maxDifference(actual.floats(), expected.floats());
    int pixels = maxDifference(actual.pixels(), expected.pixels());
    // Negated, so that NaN fails.
    if (!(floats <= FLOAT_TOLERANCE) || pixels > PIXEL_TOLERANCE) {
      throw new FinalFailureException(
          String.format(
              Locale.ROOT,
              "cannot export: the ONNX model differs from its network by %.3g in [-1, 1] and %d grey levels; expected at most %.0e and %d",
              floats,
              pixels,
              FLOAT_TOLERANCE,
              PIXEL_TOLERANCE));
    }
    for (int batchSize : BATCH_SIZES) {
      checkBatchSize(latents, labels, actual, batchSize);
    }
    return new Result(POINTS.size(), floats, pixels, golden(actual));
  }

  /** The labels of the points; every other one after the golden vectors is a mixture. */
  private long[] labels() {
    if (classes == null) {
      return new long[0];
    }
    long[] labels = new long[POINTS.size()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = label(classes, i);
      if (i >= GOLDEN_VECTORS && i % 2 == 0) {
        int from = classes.size() - 1 - i % classes.size();
        int to = (from + 1 + i % (classes.size() - 1)) % classes.size();
        int step = Labels.MIXTURE_STEPS - 1 - (i - GOLDEN_VECTORS) / 2 * 4051;
        labels[i] = Labels.mixture(from, to, step, classes.size());
      }
    }
    return labels;
  }

  private static int label(ImageClasses classes, int point) {
    return classes.draw(POINTS.get(point).seed(), POINTS.get(point).index());
  }

  private void checkBatchSize(float[] latents, long[] labels, Images expected, int batchSize)
      throws IOException, OrtException {
    for (int from = 0; from < POINTS.size(); from += batchSize) {
      int to = Math.min(POINTS.size(), from + batchSize);
      Images part =
          run(
              Arrays.copyOfRange(latents, from * latentSize, to * latentSize),
              classes == null ? labels : Arrays.copyOfRange(labels, from, to));
      int start = from * shape.values();
      int end = to * shape.values();
      if (!Arrays.equals(part.floats(), Arrays.copyOfRange(expected.floats(), start, end))
          || !Arrays.equals(part.pixels(), Arrays.copyOfRange(expected.pixels(), start, end))) {
        throw new FinalFailureException(
            "cannot export: the ONNX model gives different images in batches of %d and of %d; expected identical bits"
                .formatted(batchSize, POINTS.size()));
      }
    }
  }

  private Images run(float[] latents, long[] labels) throws IOException, OrtException {
    int n = latents.length / latentSize;
    try (GeneratorInputs inputs = GeneratorInputs.of(environment, latents, labels, n);
        OrtSession.Result result = session.run(inputs.tensors())) {
      float[] floats = new float[n * shape.values()];
      byte[] pixels = new byte[n * shape.values()];
      long[] chw = {n, shape.channels(), shape.height(), shape.width()};
      long[] hwc = {n, shape.height(), shape.width(), shape.channels()};
      output(result, GeneratorExporter.IMAGE, chw).getFloatBuffer().get(floats);
      output(result, GeneratorExporter.PIXELS, hwc).getByteBuffer().get(pixels);
      return new Images(floats, pixels);
    }
  }

  private static OnnxTensor output(OrtSession.Result result, String name, long[] shape)
      throws IOException {
    OnnxValue value =
        result
            .get(name)
            .orElseThrow(
                () ->
                    new IOException(
                        "the exported model has no output '" + name + "'; expected one"));
    if (!(value instanceof OnnxTensor tensor)
        || !Arrays.equals(tensor.getInfo().getShape(), shape)) {
      throw new IOException(
          "the exported model's output '%s' is not as expected: a tensor of shape %s"
              .formatted(name, Arrays.toString(shape)));
    }
    return tensor;
  }

  /** The network's images (n, c, h, w) with their quantized pixels (n, h, w, c). */
  private Images withPixels(float[] floats) throws IOException {
    if (floats.length != POINTS.size() * shape.values()) {
      throw new IOException(
          "the network returned %d values for %d images; expected %d per image"
              .formatted(floats.length, POINTS.size(), shape.values()));
    }
    return new Images(floats, Pixels.of(floats, shape));
  }

  private static float maxDifference(float[] a, float[] b) {
    float max = 0;
    for (int i = 0; i < a.length; i++) {
      max = Math.max(max, Math.abs(a[i] - b[i])); // NaN is propagated
    }
    return max;
  }

  private static int maxDifference(byte[] a, byte[] b) {
    int max = 0;
    for (int i = 0; i < a.length; i++) {
      max = Math.max(max, Math.abs((a[i] & 0xFF) - (b[i] & 0xFF)));
    }
    return max;
  }

  private List<GoldenVector> golden(Images images) {
    List<GoldenVector> golden = new ArrayList<>();
    for (int i = 0; i < GOLDEN_VECTORS; i++) {
      Point point = POINTS.get(i);
      float[] z = Latents.of(point.seed(), point.index(), latentSize);
      int size = shape.values();
      golden.add(
          GoldenVector.newBuilder()
              .setLabel(classes == null ? 0 : label(classes, i))
              .setSeed(point.seed())
              .setIndex(point.index())
              .setLatent(ByteString.copyFrom(ModelBundle.littleEndian(z)))
              .setPixels(ByteString.copyFrom(images.pixels(), i * size, size))
              .build());
    }
    return golden;
  }

  private static List<Point> points() {
    List<Point> points =
        new ArrayList<>(
            List.of(
                new Point(0, 0),
                new Point(0, 1),
                new Point(42, 1_000_000),
                new Point(0x8000_0000_0000_0001L, 7),
                new Point(-1, -1)));
    for (int index = 0; index < 27; index++) {
      points.add(new Point(2016 + index % 3, index));
    }
    return List.copyOf(points);
  }
}
