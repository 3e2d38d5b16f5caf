package dev.dcgan.sampler.server;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.onnx.ExportCheck;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Small random generators, 14 x 14 pixels, exported and published as the trainer does it. */
public final class TestModels {

  public static final int LATENT = 8;

  private TestModels() {}

  public static GeneratorWeights weights(int channels, long seed) {
    return weights(LATENT, channels, 12, 7, seed);
  }

  /** With so many channels between the first layers that the runtime shares them among threads. */
  public static GeneratorWeights wideWeights(int channels, long seed) {
    return weights(LATENT, channels, 128, 64, seed);
  }

  static GeneratorWeights weights(int latent, int channels, int first, int second, long seed) {
    Random random = new Random(seed);
    return new GeneratorWeights(
        "test",
        latent,
        new ImageShape(14, 14, channels),
        null,
        List.of(
            layer(random, latent, first, 3, 2), // (3, 3)
            layer(random, first, second, 4, 1), // (6, 6)
            layer(random, second, channels, 4, 2))); // (14, 14)
  }

  public static byte[] onnx(GeneratorWeights weights) {
    return GeneratorExporter.toOnnx(weights, Map.of());
  }

  /**
   * The same network as another exporter might write it: other names, a latent of four dimensions,
   * and floats only.
   */
  public static byte[] handmade(GeneratorWeights weights) throws IOException {
    ModelProto ours = ModelProto.parseFrom(onnx(weights));
    GraphProto.Builder graph = ours.getGraph().toBuilder();
    List<NodeProto> nodes = graph.getNodeList();
    graph.clearNode().clearInput().clearOutput();
    // Our graph begins with the Reshape of z and ends with what makes pixels of the image.
    for (NodeProto node : nodes.subList(1, nodes.size())) {
      NodeProto.Builder renamed = node.toBuilder();
      for (int i = 0; i < node.getInputCount(); i++) {
        renamed.setInput(i, node.getInput(i).equals("z4d") ? "noise" : node.getInput(i));
      }
      boolean last = node.getOutput(0).equals("image");
      if (last) {
        renamed.setOutput(0, "output");
      }
      graph.addNode(renamed);
      if (last) {
        break;
      }
    }
    ImageShape shape = weights.shape();
    graph.addInput(floats("noise", weights.latentSize(), 1, 1));
    graph.addOutput(floats("output", shape.channels(), shape.height(), shape.width()));
    return ours.toBuilder().setGraph(graph).clearMetadataProps().build().toByteArray();
  }

  private static ValueInfoProto floats(String name, long... dims) {
    ValueInfoProto.Builder info = ValueInfoProto.newBuilder().setName(name);
    var tensor =
        info.getTypeBuilder().getTensorTypeBuilder().setElemType(DataType.FLOAT.getNumber());
    tensor.getShapeBuilder().addDimBuilder().setDimParam("batch");
    for (long dim : dims) {
      tensor.getShapeBuilder().addDimBuilder().setDimValue(dim);
    }
    return info.build();
  }

  /** Publishes the next version of the model. */
  public static ModelBundle publish(
      ModelRepository repository, String name, int channels, long seed) throws IOException {
    return publish(repository, name, weights(channels, seed));
  }

  public static ModelBundle publish(
      ModelRepository repository, String name, GeneratorWeights weights) throws IOException {
    return repository.publish(manifest(name, weights, golden(weights)), onnx(weights));
  }

  public static ModelManifest manifest(
      String name, GeneratorWeights weights, List<GoldenVector> golden) {
    return ModelManifest.newBuilder()
        .setModel(ModelVersion.newBuilder().setName(name))
        .setOnnxOpset(GeneratorExporter.OPSET)
        .setArchitecture(weights.architecture())
        .setShape(weights.shape().toProto())
        .setLatentSize(weights.latentSize())
        .setLatentScheme(Latents.SCHEME)
        .setPixelQuantization(ModelBundle.PIXEL_QUANTIZATION)
        .addAllGolden(golden)
        .setPixelTolerance(ExportCheck.PIXEL_TOLERANCE)
        .build();
  }

  public static List<GoldenVector> golden(GeneratorWeights weights) throws IOException {
    return ExportCheck.check(
            onnx(weights),
            weights.shape(),
            weights.latentSize(),
            null,
            (latents, labels, n) -> images(weights, latents, n))
        .golden();
  }

  /** The generator's layers as plain loops: (n, inputs of the first) to images (n, c, h, w). */
  static float[] images(GeneratorWeights weights, float[] latents, int n) {
    int size = weights.shape().values();
    int inputs = latents.length / n;
    float[] all = new float[n * size];
    for (int i = 0; i < n; i++) {
      float[] x = Arrays.copyOfRange(latents, i * inputs, (i + 1) * inputs);
      int side = 1;
      int last = weights.layers().size() - 1;
      for (int l = 0; l <= last; l++) {
        Layer layer = weights.layers().get(l);
        x = convTranspose(layer, x, side);
        side = (side - 1) * layer.stride() + layer.kernel();
        for (int k = 0; k < x.length; k++) {
          x[k] = l == last ? (float) Math.tanh(x[k]) : Math.max(0, x[k]);
        }
      }
      System.arraycopy(x, 0, all, i * size, size);
    }
    return all;
  }

  private static float[] convTranspose(Layer layer, float[] x, int side) {
    int k = layer.kernel();
    int outSide = (side - 1) * layer.stride() + k;
    float[] y = new float[layer.out() * outSide * outSide];
    for (int out = 0; out < layer.out(); out++) {
      Arrays.fill(y, out * outSide * outSide, (out + 1) * outSide * outSide, layer.bias()[out]);
      for (int in = 0; in < layer.in(); in++) {
        for (int at = 0; at < side * side; at++) {
          float value = x[in * side * side + at];
          int corner = at / side * layer.stride() * outSide + at % side * layer.stride();
          for (int tap = 0; tap < k * k; tap++) {
            y[out * outSide * outSide + corner + tap / k * outSide + tap % k] +=
                value * layer.weight()[(in * layer.out() + out) * k * k + tap];
          }
        }
      }
    }
    return y;
  }

  private static Layer layer(Random random, int in, int out, int kernel, int stride) {
    float[] weight = new float[in * out * kernel * kernel];
    double spread = 1.5 * stride / Math.sqrt(in * kernel * kernel);
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) (random.nextGaussian() * spread);
    }
    float[] bias = new float[out];
    for (int i = 0; i < out; i++) {
      bias[i] = (float) (random.nextGaussian() * 0.1);
    }
    return new Layer(in, out, kernel, stride, 0, weight, bias, null);
  }
}
