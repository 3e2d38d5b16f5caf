package dev.dcgan.trainer.onnx;

import static dev.dcgan.trainer.onnx.OnnxGraph.attribute;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.trainer.gan.ClassEmbedding;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.BatchNorm;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.onnx.OnnxGraph.Operator;
import dev.dcgan.trainer.onnx.OnnxGraph.Value;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Exports a trained generator as a standard ONNX model.
 *
 * <p>Input {@code z} float[N, latent], N(0, 1); outputs {@code image} float[N, C, H, W], [-1, 1],
 * and {@code pixels} uint8[N, H, W, C]. The batch dimension N is dynamic. Batch normalization is
 * folded into the convolutions. A conditional generator has a second input, {@code label} int64[N]:
 * a label, or the {@linkplain Labels#mixture mixture} of two classes.
 *
 * <p>The sampler admits graphs of some operators and of bounded memory only. The trainer does not
 * know its check: a test of the sampler checks that the exports of all presets are admitted.
 */
public final class GeneratorExporter {

  /** The version of the ONNX operator set that the models use. */
  public static final int OPSET = OnnxGraph.OPSET;

  static final String INPUT = "z";
  static final String LABEL = "label";
  static final String IMAGE = "image";
  static final String PIXELS = "pixels";

  private static final String PRODUCER = "dcgan";

  private GeneratorExporter() {}

  /**
   * Returns the bytes of {@code model.onnx}; the same weights and metadata give the same bytes.
   *
   * @param metadata further entries of metadata_props, which always has the architecture, the
   *     latent sampling scheme, the latent size, the image shape and the pixel quantization
   * @throws IllegalArgumentException if the layers do not fit together or give images of another
   *     shape
   */
  public static byte[] toOnnx(GeneratorWeights weights, Map<String, String> metadata) {
    ImageShape shape = weights.shape();
    int latent = weights.latentSize();
    OnnxGraph graph = new OnnxGraph("generator");

    Value z = graph.input(INPUT, DataType.FLOAT, latent);
    ClassEmbedding embedding = weights.embedding();
    Value image =
        embedding == null
            ? layers(graph, z, latent, weights)
            : layers(graph, withClass(graph, z, embedding), latent + embedding.size(), weights);
    Value pixels = pixels(graph, image);
    graph.output(image, DataType.FLOAT, shape.channels(), shape.height(), shape.width());
    graph.output(pixels, DataType.UINT8, shape.height(), shape.width(), shape.channels());

    TreeMap<String, String> properties = new TreeMap<>(metadata);
    properties.put("architecture", weights.architecture());
    properties.put("image_shape", shape.toString());
    properties.put("latent_scheme", Latents.SCHEME);
    properties.put("latent_size", Integer.toString(latent));
    properties.put("pixel_quantization", ModelBundle.PIXEL_QUANTIZATION);
    if (embedding != null) {
      properties.put("classes", Integer.toString(embedding.classes()));
      properties.put("label_scheme", Labels.SCHEME);
    }
    return graph.toModel(PRODUCER, properties);
  }

  /**
   * Appends the embedding of the class to z: E[from] + (k / 65536) (E[to] - E[from]) for the label
   * from + classes * (to + classes * k), so exactly E[label] for a label below classes.
   */
  private static Value withClass(OnnxGraph graph, Value z, ClassEmbedding embedding) {
    Value label = graph.input(LABEL, DataType.INT64);
    Value classes = graph.constant("classes", new long[] {embedding.classes()});
    Value from = graph.apply(Operator.MOD, "from", List.of(label, classes));
    Value rest = graph.apply(Operator.DIV, "to_and_k", List.of(label, classes));
    Value to = graph.apply(Operator.MOD, "to", List.of(rest, classes));
    Value k = graph.apply(Operator.DIV, "k", List.of(rest, classes));
    Value share =
        graph.apply(
            Operator.CAST, "steps", List.of(k), attribute("to", DataType.FLOAT.getNumber()));
    Value step = graph.constant("step", new float[] {1f / Labels.MIXTURE_STEPS});
    share = graph.apply(Operator.MUL, "share", List.of(share, step));
    Value column = graph.constant("column", new long[] {-1, 1});
    share = graph.apply(Operator.RESHAPE, "shares", List.of(share, column)); // (n, 1)

    Value table =
        graph.constant("embedding", embedding.values(), embedding.classes(), embedding.size());
    Value first = graph.apply(Operator.GATHER, "first", List.of(table, from)); // (n, size)
    Value second = graph.apply(Operator.GATHER, "second", List.of(table, to));
    Value difference = graph.apply(Operator.SUB, "difference", List.of(second, first));
    Value part = graph.apply(Operator.MUL, "part", List.of(share, difference));
    Value embedded = graph.apply(Operator.ADD, "embedded", List.of(first, part));
    return graph.apply(
        Operator.CONCAT, "z_with_class", List.of(z, embedded), attribute("axis", 1)); // (n, all)
  }

  /**
   * Adds the layers.
   *
   * @param z (n, channels)
   */
  private static Value layers(OnnxGraph graph, Value z, int channels, GeneratorWeights weights) {
    // 0 in a Reshape's shape keeps the dimension, here the batch.
    Value shape = graph.constant("z_shape", new long[] {0, channels, 1, 1});
    Value x = graph.apply(Operator.RESHAPE, "z4d", List.of(z, shape)); // (n, channels, 1, 1)
    int last = weights.layers().size() - 1;
    int side = 1;
    for (int i = 0; i <= last; i++) {
      Layer layer = weights.layers().get(i); // once: the list may copy it on each access
      checkFits(layer, channels);
      x = convTranspose(graph, "conv" + (i + 1), x, layer);
      channels = layer.out();
      side = (side - 1) * layer.stride() - 2 * layer.padding() + layer.kernel();
      x =
          i < last
              ? graph.apply(Operator.RELU, "relu" + (i + 1), List.of(x))
              : graph.apply(Operator.TANH, IMAGE, List.of(x));
    }
    ImageShape image = weights.shape();
    require("channels from the last layer", channels, image.channels());
    require("rows from the last layer", side, image.height());
    require("columns from the last layer", side, image.width());
    return x; // (n, channels, height, width)
  }

  /** Adds a transposed convolution with batch normalization folded into weight and bias. */
  private static Value convTranspose(OnnxGraph graph, String name, Value x, Layer layer) {
    long k = layer.kernel();
    long s = layer.stride();
    long p = layer.padding();
    double[] scale = scale(layer);
    Value weight =
        graph.constant(name + ".weight", weight(layer, scale), layer.in(), layer.out(), k, k);
    Value bias = graph.constant(name + ".bias", bias(layer, scale), layer.out());
    return graph.apply(
        Operator.CONV_TRANSPOSE,
        name,
        List.of(x, weight, bias),
        attribute("kernel_shape", List.of(k, k)),
        attribute("pads", List.of(p, p, p, p)),
        attribute("strides", List.of(s, s)));
  }

  /** Adds round((x + 1) * 127.5) in 0..255, NHWC; transposed last, when a value has one byte. */
  private static Value pixels(OnnxGraph graph, Value image) {
    Value one = graph.constant("one", new float[] {1});
    Value half = graph.constant("half_range", new float[] {127.5f});
    Value low = graph.constant("lowest", new float[] {0});
    Value high = graph.constant("highest", new float[] {255});
    Value x = graph.apply(Operator.ADD, "shifted", List.of(image, one));
    x = graph.apply(Operator.MUL, "scaled", List.of(x, half));
    x = graph.apply(Operator.ROUND, "rounded", List.of(x));
    x = graph.apply(Operator.CLIP, "clamped", List.of(x, low, high));
    x =
        graph.apply(
            Operator.CAST, "bytes", List.of(x), attribute("to", DataType.UINT8.getNumber()));
    return graph.apply(
        Operator.TRANSPOSE, PIXELS, List.of(x), attribute("perm", List.of(0L, 2L, 3L, 1L)));
  }

  /** Batch normalization's factor for each channel; 1 if the layer has none. */
  private static double[] scale(Layer layer) {
    double[] scale = new double[layer.out()];
    BatchNorm norm = layer.batchNorm();
    for (int out = 0; out < layer.out(); out++) {
      scale[out] =
          norm == null
              ? 1
              : norm.gamma()[out] / Math.sqrt((double) norm.variance()[out] + norm.epsilon());
    }
    return scale;
  }

  /** The scaled weights, rounded to float32 once, little-endian. */
  private static ByteBuffer weight(Layer layer, double[] scale) {
    float[] weight = layer.weight();
    int taps = layer.kernel() * layer.kernel();
    ByteBuffer bytes =
        ByteBuffer.allocate(weight.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < weight.length; i++) {
      bytes.putFloat((float) (weight[i] * scale[i / taps % layer.out()]));
    }
    return bytes.flip();
  }

  private static float[] bias(Layer layer, double[] scale) {
    BatchNorm norm = layer.batchNorm();
    if (norm == null) {
      return layer.bias();
    }
    float[] bias = new float[layer.out()];
    for (int out = 0; out < layer.out(); out++) {
      bias[out] =
          (float) (((double) layer.bias()[out] - norm.mean()[out]) * scale[out] + norm.beta()[out]);
    }
    return bias;
  }

  private static void checkFits(Layer layer, int channels) {
    require("inputs to a layer", layer.in(), channels);
    int taps = layer.kernel() * layer.kernel();
    require("weights in a layer", layer.weight().length, layer.in() * layer.out() * taps);
    require("biases in a layer", layer.bias().length, layer.out());
    BatchNorm norm = layer.batchNorm();
    if (norm != null) {
      for (float[] values : List.of(norm.gamma(), norm.beta(), norm.mean(), norm.variance())) {
        require("values in a batch normalization", values.length, layer.out());
      }
    }
  }

  private static void require(String what, int found, int expected) {
    if (found != expected) {
      throw new IllegalArgumentException(
          "cannot export a generator with %d %s; expected %d".formatted(found, what, expected));
    }
  }
}
