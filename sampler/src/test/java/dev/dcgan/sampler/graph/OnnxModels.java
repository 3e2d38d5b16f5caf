package dev.dcgan.sampler.graph;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.util.List;

/** Builds ONNX models node by node. */
public final class OnnxModels {

  private final GraphProto.Builder graph = GraphProto.newBuilder().setName("g");

  /** A graph with the float input {@code z} (N, dims). */
  public OnnxModels(long... dims) {
    graph.addInput(info("z", DataType.FLOAT, dims));
  }

  public GraphProto.Builder graph() {
    return graph;
  }

  /** Adds a node; a space in {@code inputs} separates names. */
  public OnnxModels node(
      String operator, String inputs, String output, AttributeProto.Builder... attributes) {
    NodeProto.Builder node = graph.addNodeBuilder().setOpType(operator).setName(output + "_node");
    for (String input : inputs.isEmpty() ? new String[0] : inputs.split(" ", -1)) {
      node.addInput(input);
    }
    for (String name : output.split(" ", -1)) {
      node.addOutput(name);
    }
    for (AttributeProto.Builder attribute : attributes) {
      node.addAttribute(attribute);
    }
    return this;
  }

  public OnnxModels longs(String name, long... values) {
    TensorProto.Builder tensor =
        graph
            .addInitializerBuilder()
            .setName(name)
            .setDataType(DataType.INT64.getNumber())
            .addDims(values.length);
    for (long value : values) {
      tensor.addInt64Data(value);
    }
    return this;
  }

  /** Adds an int64 without dimensions. */
  public OnnxModels scalar(String name, long value) {
    graph
        .addInitializerBuilder()
        .setName(name)
        .setDataType(DataType.INT64.getNumber())
        .addInt64Data(value);
    return this;
  }

  public OnnxModels floats(String name, List<Long> dims, float value) {
    TensorProto.Builder tensor =
        graph.addInitializerBuilder().setName(name).setDataType(DataType.FLOAT.getNumber());
    long count = 1;
    for (long dim : dims) {
      tensor.addDims(dim);
      count *= dim;
    }
    for (int i = 0; i < count; i++) {
      tensor.addFloatData(value);
    }
    return this;
  }

  /** Declares an output (N, dims). */
  public OnnxModels output(String name, long... dims) {
    graph.addOutput(info(name, DataType.FLOAT, dims));
    return this;
  }

  public byte[] model(int opset) {
    return ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("").setVersion(opset))
        .setGraph(graph)
        .build()
        .toByteArray();
  }

  public static AttributeProto.Builder ints(String name, long... values) {
    AttributeProto.Builder attribute =
        AttributeProto.newBuilder().setName(name).setType(AttributeType.INTS);
    for (long value : values) {
      attribute.addInts(value);
    }
    return attribute;
  }

  public static AttributeProto.Builder number(String name, long value) {
    return AttributeProto.newBuilder().setName(name).setType(AttributeType.INT).setI(value);
  }

  public static AttributeProto.Builder text(String name, String value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeType.STRING)
        .setS(com.google.protobuf.ByteString.copyFromUtf8(value));
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
