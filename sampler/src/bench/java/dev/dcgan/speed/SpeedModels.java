package dev.dcgan.speed;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** The generators of the speed measurements; both have latents of 64 values. */
final class SpeedModels {

  static final int LATENT = 64;

  private SpeedModels() {}

  /** {@code mnist28} with random weights, which is as slow as a trained one. */
  static byte[] mnist28() {
    Random random = new Random(1);
    return GeneratorExporter.toOnnx(
        new GeneratorWeights(
            "mnist28",
            LATENT,
            new ImageShape(28, 28, 1),
            null,
            List.of(
                layer(random, LATENT, 512, 3, 2),
                layer(random, 512, 256, 4, 1),
                layer(random, 256, 128, 3, 2),
                layer(random, 128, 1, 4, 2))),
        Map.of());
  }

  private static Layer layer(Random random, int in, int out, int kernel, int stride) {
    float[] weight = new float[in * out * kernel * kernel];
    double spread = 1.5 * stride / Math.sqrt(in * kernel * kernel);
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) (random.nextGaussian() * spread);
    }
    return new Layer(in, out, kernel, stride, 0, weight, new float[out], null);
  }

  /**
   * A generator that costs next to nothing: its image (1, 8, 8) is the tanh of the latent. With it
   * the throughput of the service itself is measured.
   */
  static byte[] free() {
    GraphProto.Builder graph = GraphProto.newBuilder().setName("free");
    constant(graph, "shape", 1, 8, 8);
    constant(graph, "pixel_shape", 8, 8, 1);
    graph.addInput(info("z", DataType.FLOAT, LATENT));
    graph.addOutput(info("image", DataType.FLOAT, 1, 8, 8));
    graph.addOutput(info("pixels", DataType.UINT8, 8, 8, 1));
    graph.addNode(node("Tanh", "values", "z"));
    graph.addNode(node("Reshape", "image", "values", "shape"));
    graph.addNode(
        node("Cast", "bytes", "values")
            .addAttribute(
                AttributeProto.newBuilder()
                    .setName("to")
                    .setType(AttributeProto.AttributeType.INT)
                    .setI(DataType.UINT8.getNumber())));
    graph.addNode(node("Reshape", "pixels", "bytes", "pixel_shape"));
    return ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("").setVersion(17))
        .setGraph(graph)
        .build()
        .toByteArray();
  }

  private static NodeProto.Builder node(String type, String output, String... inputs) {
    return NodeProto.newBuilder().setOpType(type).addAllInput(List.of(inputs)).addOutput(output);
  }

  /** In a Reshape's shape, 0 keeps the dimension: the batch. */
  private static void constant(GraphProto.Builder graph, String name, long... rest) {
    TensorProto.Builder tensor =
        TensorProto.newBuilder()
            .setName(name)
            .setDataType(DataType.INT64.getNumber())
            .addDims(1 + rest.length)
            .addInt64Data(0);
    for (long side : rest) {
      tensor.addInt64Data(side);
    }
    graph.addInitializer(tensor);
  }

  private static ValueInfoProto info(String name, DataType type, long... dims) {
    ValueInfoProto.Builder info = ValueInfoProto.newBuilder().setName(name);
    var tensor = info.getTypeBuilder().getTensorTypeBuilder().setElemType(type.getNumber());
    tensor.getShapeBuilder().addDimBuilder().setDimParam("N");
    for (long dim : dims) {
      tensor.getShapeBuilder().addDimBuilder().setDimValue(dim);
    }
    return info.build();
  }
}
