package dev.dcgan.trainer.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.Pixels;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.v1.GoldenVector;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Runs an exported generator in ONNX Runtime and compares it with the network that it came from, on
 * fixed latents.
 *
 * <p>Also refuses a model whose images depend on the batch that they were made in: the sampler
 * promises that they do not.
 */
public final class ExportCheck {

  /** How far an image may be from the network's, in [-1, 1]. */
  public static final float FLOAT_TOLERANCE = 1e-4f;

  /** How far pixels may be from the network's, in grey levels. */
  public static final int PIXEL_TOLERANCE = 1;

  /**
   * What was found.
   *
   * @param images compared
   * @param maxDifference between floats in [-1, 1]
   * @param maxPixelDifference in grey levels
   * @param golden for the manifest; pixels as ONNX Runtime made them
   */
  public record Result(
      int images, float maxDifference, int maxPixelDifference, List<GoldenVector> golden) {

    public Result {
      golden = List.copyOf(golden);
    }
  }

  private record Point(long seed, long index) {}

  @SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
  private record Images(float[] floats, byte[] pixels) {}

  // The first ones are the manifest's; -1 is the greatest unsigned seed and index, 2^64 - 1.
  private static final int GOLDEN = 5;
  private static final List<Point> POINTS = points();
  private static final int[] BATCH_SIZES = {1, 7};

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final ImageShape shape;
  private final int latentSize;

  private ExportCheck(
      OrtEnvironment environment, OrtSession session, ImageShape shape, int latentSize) {
    this.environment = environment;
    this.session = session;
    this.shape = shape;
    this.latentSize = latentSize;
  }

  /**
   * Checks the model in {@code onnx}.
   *
   * @throws IOException the model does not run, differs from the network by more than the
   *     tolerances (the message has both figures), or lets batch size change an image
   */
  public static Result check(
      byte[] onnx, ImageShape shape, int latentSize, ImageGenerator<float[]> network)
      throws IOException {
    // The environment is the process's own and outlives every session.
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        OrtSession session = environment.createSession(onnx, options)) {
      return new ExportCheck(environment, session, shape, latentSize).against(network);
    } catch (OrtException e) {
      throw new IOException("ONNX Runtime cannot run the exported model: " + e.getMessage(), e);
    }
  }

  private Result against(ImageGenerator<float[]> network) throws IOException, OrtException {
    float[] latents = new float[POINTS.size() * latentSize];
    for (int i = 0; i < POINTS.size(); i++) {
      Point point = POINTS.get(i);
      Latents.fill(point.seed(), point.index(), latents, i * latentSize, latentSize);
    }
    Images found = run(latents);
    Images expected = expected(network.generate(latents, POINTS.size()));
    float floats = maxDifference(found.floats(), expected.floats());
    int pixels = maxDifference(found.pixels(), expected.pixels());
    // Negated, so that NaN fails too.
    if (!(floats <= FLOAT_TOLERANCE) || pixels > PIXEL_TOLERANCE) {
      throw new FinalFailureException(
          String.format(
              Locale.ROOT,
              "the exported model differs from its network by %.3g in [-1, 1] and %d grey levels; expected at most %.0e and %d",
              floats,
              pixels,
              FLOAT_TOLERANCE,
              PIXEL_TOLERANCE));
    }
    for (int batchSize : BATCH_SIZES) {
      checkBatches(latents, found, batchSize);
    }
    return new Result(POINTS.size(), floats, pixels, golden(found));
  }

  private void checkBatches(float[] latents, Images whole, int batchSize)
      throws IOException, OrtException {
    for (int from = 0; from < POINTS.size(); from += batchSize) {
      int to = Math.min(POINTS.size(), from + batchSize);
      Images part = run(Arrays.copyOfRange(latents, from * latentSize, to * latentSize));
      int start = from * shape.values();
      int end = to * shape.values();
      if (!Arrays.equals(part.floats(), Arrays.copyOfRange(whole.floats(), start, end))
          || !Arrays.equals(part.pixels(), Arrays.copyOfRange(whole.pixels(), start, end))) {
        throw new FinalFailureException(
            "the exported model makes other images in batches of %d than in one of %d; expected the same bits"
                .formatted(batchSize, POINTS.size()));
      }
    }
  }

  private Images run(float[] latents) throws IOException, OrtException {
    int n = latents.length / latentSize;
    try (OnnxTensor z =
            OnnxTensor.createTensor(
                environment, FloatBuffer.wrap(latents), new long[] {n, latentSize});
        OrtSession.Result result = session.run(Map.of(GeneratorExporter.INPUT, z))) {
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
            .orElseThrow(() -> new IOException("the exported model has no output '" + name + "'"));
    if (!(value instanceof OnnxTensor tensor)
        || !Arrays.equals(tensor.getInfo().getShape(), shape)) {
      throw new IOException(
          "the exported model's output '%s' is not a tensor of shape %s"
              .formatted(name, Arrays.toString(shape)));
    }
    return tensor;
  }

  /** The network's images (n, c, h, w) with the pixels (n, h, w, c) that they must have. */
  private Images expected(float[] floats) throws IOException {
    if (floats.length != POINTS.size() * shape.values()) {
      throw new IOException(
          "the network made %d values for %d images; expected %d each"
              .formatted(floats.length, POINTS.size(), shape.values()));
    }
    return new Images(floats, Pixels.of(floats, shape));
  }

  private static float maxDifference(float[] a, float[] b) {
    float max = 0;
    for (int i = 0; i < a.length; i++) {
      max = Math.max(max, Math.abs(a[i] - b[i])); // NaN stays
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
    for (int i = 0; i < GOLDEN; i++) {
      Point point = POINTS.get(i);
      float[] z = Latents.of(point.seed(), point.index(), latentSize);
      int size = shape.values();
      golden.add(
          GoldenVector.newBuilder()
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
