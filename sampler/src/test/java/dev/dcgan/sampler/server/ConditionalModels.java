package dev.dcgan.sampler.server;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Pixels;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Small random conditional generators, 14 x 14 x 3 pixels: those of {@link TestModels} behind a
 * class embedding, which the latent is joined with.
 */
public final class ConditionalModels {

  public static final int LATENT = TestModels.LATENT;
  public static final ImageClasses PETS =
      new ImageClasses(List.of("cat", "2", "dog"), List.of(5L, 1L, 4L));

  private static final int EMBEDDING = 4;

  private final GeneratorWeights weights;
  private final ImageClasses classes;

  /** The embeddings of the classes, (classes, EMBEDDING). */
  private final float[] embedding;

  private ConditionalModels(ImageClasses classes, long seed) {
    Random random = new Random(-seed);
    this.classes = classes;
    this.weights = TestModels.weights(LATENT + EMBEDDING, 3, 64, 32, seed);
    this.embedding = new float[classes.size() * EMBEDDING];
    for (int i = 0; i < embedding.length; i++) {
      embedding[i] = (float) (2 * random.nextGaussian());
    }
  }

  /** Publishes the next version of a model with {@link #PETS}. */
  public static ModelBundle publish(ModelRepository repository, String name, long seed)
      throws IOException {
    return publish(repository, name, PETS, seed);
  }

  public static ModelBundle publish(
      ModelRepository repository, String name, ImageClasses classes, long seed)
      throws IOException {
    ConditionalModels model = new ConditionalModels(classes, seed);
    return repository.publish(model.manifest(name), model.onnx());
  }

  public static byte[] onnx(long seed) throws IOException {
    return new ConditionalModels(PETS, seed).onnx();
  }

  public static ModelManifest manifest(String name, long seed) {
    return new ConditionalModels(PETS, seed).manifest(name);
  }

  /** The images of latents and labels, or mixtures, by plain loops: uint8 (n, h, w, c). */
  public static byte[] images(long seed, float[] latents, long... labels) {
    return new ConditionalModels(PETS, seed).images(latents, labels);
  }

  private byte[] images(float[] latents, long... labels) {
    float[] all = new float[labels.length * weights.latentSize()];
    for (int i = 0; i < labels.length; i++) {
      System.arraycopy(latents, i * LATENT, all, i * weights.latentSize(), LATENT);
      int from = (int) (labels[i] % classes.size());
      int to = (int) (labels[i] / classes.size() % classes.size());
      long k = labels[i] / classes.size() / classes.size();
      float share = (float) k / Labels.MIXTURE_STEPS;
      for (int e = 0; e < EMBEDDING; e++) {
        float start = embedding[from * EMBEDDING + e];
        float end = embedding[to * EMBEDDING + e];
        all[i * weights.latentSize() + LATENT + e] = start + share * (end - start);
      }
    }
    return Pixels.of(TestModels.images(weights, all, labels.length), weights.shape());
  }

  private ModelManifest manifest(String name) {
    List<GoldenVector> golden = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      float[] z = Latents.of(9, i, LATENT);
      int label = classes.draw(9, i);
      golden.add(
          GoldenVector.newBuilder()
              .setSeed(9)
              .setIndex(i)
              .setLatent(ByteString.copyFrom(ModelBundle.littleEndian(z)))
              .setLabel(label)
              .setPixels(ByteString.copyFrom(images(z, label)))
              .build());
    }
    return TestModels.manifest(name, weights, golden).toBuilder()
        .setLatentSize(LATENT)
        .addAllClasses(classes.toProto())
        .setLabelScheme(Labels.SCHEME)
        .build();
  }

  /** label = from + classes (to + classes k), in int64, to the embedding beside the latent. */
  private byte[] onnx() throws IOException {
    ModelProto unconditional = ModelProto.parseFrom(TestModels.onnx(weights));
    GraphProto.Builder graph = unconditional.getGraph().toBuilder();
    List<NodeProto> nodes = List.copyOf(graph.getNodeList());
    graph.clearNode();
    TensorProto.Builder table =
        TensorProto.newBuilder()
            .setName("embedding")
            .setDataType(DataType.FLOAT.getNumber())
            .addDims(classes.size())
            .addDims(EMBEDDING);
    for (float value : embedding) {
      table.addFloatData(value);
    }
    graph.addInitializer(table);
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName("classes")
            .setDataType(DataType.INT64.getNumber())
            .addInt64Data(classes.size()));
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName("steps")
            .setDataType(DataType.FLOAT.getNumber())
            .addFloatData(Labels.MIXTURE_STEPS));
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName("column")
            .setDataType(DataType.INT64.getNumber())
            .addDims(1)
            .addInt64Data(1));
    graph.addNode(node("Mod", "from", "label", "classes"));
    graph.addNode(node("Div", "rest", "label", "classes"));
    graph.addNode(node("Mod", "to", "rest", "classes"));
    graph.addNode(node("Div", "k", "rest", "classes"));
    graph.addNode(
        node("Cast", "k_float", "k")
            .addAttribute(attribute("to", DataType.FLOAT.getNumber())));
    graph.addNode(node("Div", "share_row", "k_float", "steps"));
    graph.addNode(node("Unsqueeze", "share", "share_row", "column"));
    graph.addNode(node("Gather", "start", "embedding", "from"));
    graph.addNode(node("Gather", "end", "embedding", "to"));
    graph.addNode(node("Sub", "way", "end", "start"));
    graph.addNode(node("Mul", "part", "way", "share"));
    graph.addNode(node("Add", "class", "start", "part"));
    graph.addNode(node("Concat", "z_and_class", "z", "class").addAttribute(attribute("axis", 1)));
    for (NodeProto node : nodes) {
      NodeProto.Builder renamed = node.toBuilder();
      for (int i = 0; i < node.getInputCount(); i++) {
        renamed.setInput(i, node.getInput(i).equals("z") ? "z_and_class" : node.getInput(i));
      }
      graph.addNode(renamed);
    }
    ValueInfoProto.Builder z = graph.getInputBuilder(0);
    var dims = z.getTypeBuilder().getTensorTypeBuilder().getShapeBuilder();
    dims.getDimBuilder(1).setDimValue(LATENT);
    ValueInfoProto.Builder label = ValueInfoProto.newBuilder().setName("label");
    label
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .setElemType(DataType.INT64.getNumber())
        .getShapeBuilder()
        .addDim(dims.getDim(0));
    graph.addInput(label);
    return unconditional.toBuilder().setGraph(graph).build().toByteArray();
  }

  private static NodeProto.Builder node(String type, String output, String... inputs) {
    return NodeProto.newBuilder()
        .setName(output)
        .setOpType(type)
        .addAllInput(Arrays.asList(inputs))
        .addOutput(output);
  }

  private static AttributeProto attribute(String name, long value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INT)
        .setI(value)
        .build();
  }
}
