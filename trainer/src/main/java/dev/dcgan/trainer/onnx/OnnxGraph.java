package dev.dcgan.trainer.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ModelBundle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;

/**
 * Builds an ONNX graph; owns the graph and the names of its values.
 *
 * <p>Only this class creates values, so a node cannot refer to a value that does not exist yet, and
 * the nodes are in topological order, as ONNX requires. Not thread-safe.
 */
final class OnnxGraph {

  /** The version of the operator set. */
  static final int OPSET = 17;

  private static final int IR_VERSION = 8;

  // The batch, a symbolic dimension of all inputs and outputs.
  private static final String BATCH = "N";

  /** An ONNX operator with the number of inputs it takes here. */
  enum Operator {
    ADD("Add", 2),
    CAST("Cast", 1),
    CLIP("Clip", 3),
    CONCAT("Concat", 2),
    CONV_TRANSPOSE("ConvTranspose", 3),
    DIV("Div", 2),
    GATHER("Gather", 2),
    MOD("Mod", 2),
    MUL("Mul", 2),
    RELU("Relu", 1),
    RESHAPE("Reshape", 2),
    ROUND("Round", 1),
    SUB("Sub", 2),
    TANH("Tanh", 1),
    TRANSPOSE("Transpose", 1);

    private final String type;
    private final int inputs;

    Operator(String type, int inputs) {
      this.type = type;
      this.inputs = inputs;
    }
  }

  /** A value in the graph. */
  record Value(String name) {}

  // Mutable state
  private final GraphProto.Builder graph;
  private final Set<String> names = new HashSet<>();

  OnnxGraph(String name) {
    graph = GraphProto.newBuilder().setName(name);
  }

  /** Adds an input of shape (N, dims). */
  Value input(String name, DataType type, long... dims) {
    Value value = named(name);
    graph.addInput(info(value, type, dims));
    return value;
  }

  /** Declares a value of shape (N, dims) as an output. */
  void output(Value value, DataType type, long... dims) {
    graph.addOutput(info(value, type, dims));
  }

  /** Adds a float constant of the given shape; a scalar if there are no dims. */
  Value constant(String name, float[] values, long... dims) {
    return constant(name, ModelBundle.littleEndian(values), dims);
  }

  /** As above, for little-endian values, which are not copied and must not change. */
  Value constant(String name, ByteBuffer values, long... dims) {
    return constant(name, DataType.FLOAT, values, dims);
  }

  /** Adds an int64 vector. */
  Value constant(String name, long[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(values);
    return constant(name, DataType.INT64, bytes, values.length);
  }

  private Value constant(String name, DataType type, ByteBuffer bytes, long... dims) {
    Value value = named(name);
    TensorProto.Builder tensor =
        TensorProto.newBuilder()
            .setName(value.name())
            .setDataType(type.getNumber())
            .setRawData(UnsafeByteOperations.unsafeWrap(bytes));
    for (long dim : dims) {
      tensor.addDims(dim);
    }
    graph.addInitializer(tensor);
    return value;
  }

  /** Adds a node; its output has the given name. */
  Value apply(
      Operator operator, String name, List<Value> inputs, AttributeProto.Builder... attributes) {
    if (inputs.size() != operator.inputs) {
      throw new IllegalArgumentException(
          "%s '%s' with %d inputs; expected %d"
              .formatted(operator.type, name, inputs.size(), operator.inputs));
    }
    Value value = named(name);
    NodeProto.Builder node =
        NodeProto.newBuilder().setName(name).setOpType(operator.type).addOutput(value.name());
    inputs.forEach(input -> node.addInput(input.name()));
    for (AttributeProto.Builder attribute : attributes) {
      node.addAttribute(attribute);
    }
    graph.addNode(node);
    return value;
  }

  static AttributeProto.Builder attribute(String name, long value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INT)
        .setI(value);
  }

  static AttributeProto.Builder attribute(String name, List<Long> values) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INTS)
        .addAllInts(values);
  }

  /** Serializes the model; the same graph and metadata give the same bytes. */
  byte[] toModel(String producer, SortedMap<String, String> metadata) {
    ModelProto.Builder model =
        ModelProto.newBuilder()
            .setIrVersion(IR_VERSION)
            .setProducerName(producer)
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("").setVersion(OPSET))
            .setGraph(graph);
    metadata.forEach(
        (key, value) ->
            model.addMetadataProps(
                StringStringEntryProto.newBuilder().setKey(key).setValue(value)));
    return model.build().toByteArray();
  }

  private Value named(String name) {
    if (!names.add(name)) {
      throw new IllegalArgumentException("duplicate value name '" + name + "' in the graph");
    }
    return new Value(name);
  }

  private static ValueInfoProto info(Value value, DataType type, long... dims) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    shape.addDimBuilder().setDimParam(BATCH);
    for (long dim : dims) {
      shape.addDimBuilder().setDimValue(dim);
    }
    TypeProto.Tensor.Builder tensor =
        TypeProto.Tensor.newBuilder().setElemType(type.getNumber()).setShape(shape);
    return ValueInfoProto.newBuilder()
        .setName(value.name())
        .setType(TypeProto.newBuilder().setTensorType(tensor))
        .build();
  }
}
