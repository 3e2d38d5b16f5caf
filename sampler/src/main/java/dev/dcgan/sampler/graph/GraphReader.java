package dev.dcgan.sampler.graph;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import dev.dcgan.sampler.graph.Node.Attribute;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the graph of an ONNX model as a stream, without its weights, and refuses what no generator
 * has: subgraphs, functions, operators of other domains, sparse tensors, and values that are not
 * tensors. Field numbers are those of onnx.proto. All sizes are bounded. Not thread-safe.
 */
final class GraphReader {

  private static final int MAX_NODES = 10_000;
  private static final int MAX_TENSORS = 10_000;
  // Of memory for names, attributes and the values of small tensors. A few bytes of a file can
  // become an object each, so objects count as well.
  private static final int MAX_GRAPH_BYTES = 16 << 20;
  private static final int OBJECT_BYTES = 64;
  private static final int NUMBER_BYTES = 24;
  private static final int VARINT = WireFormat.WIRETYPE_VARINT;
  private static final int BYTES = WireFormat.WIRETYPE_LENGTH_DELIMITED;
  private static final Set<String> DOMAINS = Set.of("", "ai.onnx");

  /** An input of the model: dimensions that are 0 have no fixed size. */
  record Input(String name, List<Long> dims, int type) {}

  /** Reads one field of a message; what it does not consume is skipped. */
  private interface FieldReader {
    /** Returns whether the field was consumed. */
    boolean read(int field, int wireType) throws IOException;
  }

  final List<Node> nodes = new ArrayList<>();
  final Map<String, Tensor> initializers = new LinkedHashMap<>();
  final List<Input> inputs = new ArrayList<>();
  final List<String> outputs = new ArrayList<>();

  private final CodedInputStream in;

  // Mutable state
  private long graphBytes;

  private GraphReader(CodedInputStream in) {
    this.in = in;
  }

  /**
   * Reads a model.
   *
   * @throws GraphException it is not allowed
   * @throws InvalidProtocolBufferException it is not a protobuf message
   */
  static GraphReader read(CodedInputStream in) throws IOException {
    GraphReader reader = new GraphReader(in);
    reader.fields(reader::model);
    if (!in.isAtEnd()) {
      throw new InvalidProtocolBufferException("it has an invalid tag");
    }
    return reader;
  }

  private boolean model(int field, int wireType) throws IOException {
    if (wireType != BYTES) {
      return false;
    }
    switch (field) {
      case 7 -> message(this::graph); // Given twice, the messages are merged.
      case 20 -> throw new GraphException("it has training information; expected a graph alone");
      case 25 -> throw new GraphException("it has local functions; expected operators of ONNX");
      default -> {
        return false;
      }
    }
    return true;
  }

  private boolean graph(int field, int wireType) throws IOException {
    if (wireType != BYTES) {
      return false;
    }
    switch (field) {
      case 1 -> node();
      case 5 -> initializer();
      case 11 -> input();
      case 12 -> outputs.add(input(new ArrayList<>()).name());
      case 15 -> throw new GraphException("it has sparse weights; expected dense ones");
      default -> {
        return false;
      }
    }
    return true;
  }

  private void node() throws IOException {
    if (nodes.size() == MAX_NODES) {
      throw new GraphException("it has more than %d nodes", MAX_NODES);
    }
    List<String> from = new ArrayList<>();
    List<String> to = new ArrayList<>();
    String[] texts = {"", "", ""}; // name, op_type, domain
    Map<String, Attribute> attributes = new HashMap<>();
    message(
        (field, wireType) -> {
          if (wireType != BYTES) {
            return false;
          }
          switch (field) {
            case 1 -> from.add(text());
            case 2 -> to.add(text());
            case 3 -> texts[0] = text();
            case 4 -> texts[1] = text();
            case 5 -> attribute(texts[0], attributes);
            case 7 -> texts[2] = text();
            default -> {
              return false;
            }
          }
          return true;
        });
    Node node = new Node(texts[0], texts[1], from, to, attributes);
    if (!DOMAINS.contains(texts[2])) {
      throw new GraphException(
          "%s is of the domain '%s'; expected operators of ONNX itself",
          node, Node.excerpt(texts[2]));
    }
    nodes.add(node);
  }

  private void attribute(String node, Map<String, Attribute> attributes) throws IOException {
    String[] texts = {"", ""}; // name, s
    long[] number = {0};
    double[] real = {0};
    List<Long> numbers = new ArrayList<>();
    List<Double> reals = new ArrayList<>();
    List<Tensor> tensor = new ArrayList<>();
    message(
        (field, wireType) -> {
          switch (field) {
            case 1, 4 -> {
              if (wireType != BYTES) {
                return false;
              }
              texts[field == 1 ? 0 : 1] = text();
            }
            case 2 -> {
              if (wireType != WireFormat.WIRETYPE_FIXED32) {
                return false;
              }
              real[0] = in.readFloat();
            }
            case 3 -> {
              if (wireType != VARINT) {
                return false;
              }
              number[0] = in.readInt64();
            }
            case 5 -> {
              if (wireType != BYTES) {
                return false;
              }
              tensor.add(tensor().tensor());
            }
            case 6, 11 ->
                throw new GraphException(
                    "a node (name '%s') has a subgraph, as Loop, If and Scan do; expected a"
                        + " feed-forward graph",
                    Node.excerpt(node));
            case 7 -> {
              return floats(wireType, reals);
            }
            case 8 -> {
              return longs(wireType, numbers);
            }
            case 9, 10, 14, 15, 22, 23 ->
                throw new GraphException(
                    "a node (name '%s') has an attribute of texts, types, sparse or several"
                        + " tensors; expected numbers or one tensor",
                    Node.excerpt(node));
            default -> {
              return false;
            }
          }
          return true;
        });
    Attribute attribute =
        new Attribute(
            number[0], real[0], texts[1], numbers, reals, tensor.isEmpty() ? null : tensor.get(0));
    if (tensor.size() > 1 || attributes.put(texts[0], attribute) != null) {
      throw new GraphException("it has the attribute '%s' twice", Node.excerpt(texts[0]));
    }
  }

  private void initializer() throws IOException {
    NamedTensor tensor = tensor();
    if (initializers.size() == MAX_TENSORS) {
      throw new GraphException("it has more than %d weights", MAX_TENSORS);
    }
    if (initializers.put(tensor.name(), tensor.tensor()) != null) {
      throw new GraphException("it has the weight '%s' twice", Node.excerpt(tensor.name()));
    }
  }

  private record NamedTensor(String name, Tensor tensor) {}

  private NamedTensor tensor() throws IOException {
    String[] name = {""};
    int[] type = {0};
    long[] dataBytes = {0};
    List<Long> dims = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    ByteBuffer[] raw = {ByteBuffer.allocate(0)};
    message(
        (field, wireType) -> {
          switch (field) {
            case 1 -> {
              return longs(wireType, dims);
            }
            case 2 -> {
              if (wireType != VARINT) {
                return false;
              }
              type[0] = in.readInt32();
            }
            case 4, 5, 7, 9, 10, 11 -> {
              return data(field, wireType, dataBytes, values, raw);
            }
            case 8 -> {
              if (wireType != BYTES) {
                return false;
              }
              name[0] = text();
            }
            default -> {
              return false;
            }
          }
          return true;
        });
    String shown = Node.excerpt(name[0]);
    Tensor read;
    try {
      Tensor tensor = new Tensor(dims, type[0], true);
      // A value has at least half a byte in the file.
      if (tensor.elements() / 2 > dataBytes[0]) {
        throw new GraphException(
            "has the shape %s but %d bytes of data", tensor.dims(), dataBytes[0]);
      }
      List<Double> known = raw[0].hasRemaining() ? decode(raw[0], type[0]) : values;
      read = new Tensor(dims, type[0], true, known);
    } catch (GraphException e) {
      throw new GraphException("weight '%s' %s", shown, String.valueOf(e.getMessage()));
    }
    if (read.values() != null) {
      count((long) NUMBER_BYTES * read.values().size());
    }
    return new NamedTensor(name[0], read);
  }

  /** Reads the elements of a small tensor, and skips those of a large one. */
  private boolean data(
      int field, int wireType, long[] dataBytes, List<Double> values, ByteBuffer[] raw)
      throws IOException {
    if (wireType != BYTES) {
      if (wireType == VARINT && (field == 5 || field == 7 || field == 11)) {
        dataBytes[0]++;
        addValue(values, (double) in.readInt64());
        return true;
      }
      if (wireType == WireFormat.WIRETYPE_FIXED32 && field == 4) {
        dataBytes[0] += Float.BYTES;
        addValue(values, in.readFloat());
        return true;
      }
      if (wireType == WireFormat.WIRETYPE_FIXED64 && field == 10) {
        dataBytes[0] += Double.BYTES;
        addValue(values, in.readDouble());
        return true;
      }
      return false;
    }
    int size = size();
    dataBytes[0] += size;
    if (size > Tensor.MAX_VALUES * Long.BYTES) {
      in.skipRawBytes(size);
      // More than the values that are kept, so that they count as unknown.
      for (int i = 0; i <= Tensor.MAX_VALUES; i++) {
        addValue(values, 0.0);
      }
      return true;
    }
    int end = in.pushLimit(size);
    if (field == 9) {
      raw[0] = ByteBuffer.wrap(in.readRawBytes(size)).order(ByteOrder.LITTLE_ENDIAN);
    }
    while (in.getBytesUntilLimit() > 0) {
      addValue(
          values,
          field == 4
              ? (double) in.readFloat()
              : field == 10 ? in.readDouble() : (double) in.readInt64());
    }
    in.popLimit(end);
    return true;
  }

  private static void addValue(List<Double> values, double value) {
    if (values.size() <= Tensor.MAX_VALUES) {
      values.add(value);
    }
  }

  private static List<Double> decode(ByteBuffer raw, int type) {
    List<Double> values = new ArrayList<>();
    int bytes =
        switch (type) {
          case Tensor.FLOAT, Tensor.INT32 -> 4;
          case Tensor.INT64, Tensor.DOUBLE -> 8;
          case Tensor.BOOL -> 1;
          default -> raw.remaining() + 1;
        };
    while (raw.remaining() >= bytes) {
      values.add(
          switch (type) {
            case Tensor.FLOAT -> (double) raw.getFloat();
            case Tensor.INT32 -> (double) raw.getInt();
            case Tensor.INT64 -> (double) raw.getLong();
            case Tensor.DOUBLE -> raw.getDouble();
            default -> raw.get() == 0 ? 0.0 : 1.0;
          });
    }
    return values;
  }

  private void input() throws IOException {
    if (inputs.size() == MAX_TENSORS) {
      throw new GraphException("it has more than %d inputs", MAX_TENSORS);
    }
    inputs.add(input(new ArrayList<>()));
  }

  /** A ValueInfoProto. */
  private Input input(List<Long> dims) throws IOException {
    String[] name = {""};
    int[] type = {0};
    message(
        (field, wireType) -> {
          if (wireType != BYTES || field > 2) {
            return false;
          }
          if (field == 1) {
            name[0] = text();
          } else {
            message((kind, kindWire) -> type(kind, kindWire, name[0], type, dims));
          }
          return true;
        });
    return new Input(name[0], dims, type[0]);
  }

  /** A TypeProto. */
  private boolean type(int kind, int wireType, String name, int[] type, List<Long> dims)
      throws IOException {
    if (wireType != BYTES || kind == 6) {
      return false; // 6: the denotation.
    }
    if (kind != 1) {
      throw new GraphException(
          "'%s' is a sequence, a map or optional; expected a tensor", Node.excerpt(name));
    }
    message(
        (field, wire) -> {
          if (field == 1 && wire == VARINT) {
            type[0] = in.readInt32();
            return true;
          }
          if (field == 2 && wire == BYTES) {
            message((dim, dimWire) -> dimension(dim, dimWire, dims));
            return true;
          }
          return false;
        });
    return true;
  }

  private boolean dimension(int field, int wireType, List<Long> dims) throws IOException {
    if (field != 1 || wireType != BYTES) {
      return false;
    }
    long[] size = {0};
    message(
        (kind, wire) -> {
          if (kind == 1 && wire == VARINT) {
            size[0] = in.readInt64();
            return true;
          }
          if (kind == 2) {
            size[0] = 0; // A symbol.
          }
          return false;
        });
    count(NUMBER_BYTES);
    dims.add(Math.max(0, size[0]));
    return true;
  }

  private boolean longs(int wireType, List<Long> values) throws IOException {
    if (wireType == VARINT) {
      count(NUMBER_BYTES);
      values.add(in.readInt64());
      return true;
    }
    if (wireType != BYTES) {
      return false;
    }
    int end = in.pushLimit(size());
    while (in.getBytesUntilLimit() > 0) {
      count(NUMBER_BYTES);
      values.add(in.readInt64());
    }
    in.popLimit(end);
    return true;
  }

  private boolean floats(int wireType, List<Double> values) throws IOException {
    if (wireType == WireFormat.WIRETYPE_FIXED32) {
      count(NUMBER_BYTES);
      values.add((double) in.readFloat());
      return true;
    }
    if (wireType != BYTES) {
      return false;
    }
    int end = in.pushLimit(size());
    while (in.getBytesUntilLimit() > 0) {
      count(NUMBER_BYTES);
      values.add((double) in.readFloat());
    }
    in.popLimit(end);
    return true;
  }

  private String text() throws IOException {
    int size = size();
    count((long) size + OBJECT_BYTES);
    int end = in.pushLimit(size); // Also checks that the field ends within its message.
    String text = new String(in.readRawBytes(size), StandardCharsets.UTF_8);
    in.popLimit(end);
    return text;
  }

  private void message(FieldReader reader) throws IOException {
    count(OBJECT_BYTES);
    int end = in.pushLimit(size());
    fields(reader);
    if (in.getBytesUntilLimit() != 0) {
      throw new InvalidProtocolBufferException("a message is truncated");
    }
    in.popLimit(end);
  }

  private void fields(FieldReader reader) throws IOException {
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int wireType = WireFormat.getTagWireType(tag);
      if (wireType == WireFormat.WIRETYPE_START_GROUP
          || wireType == WireFormat.WIRETYPE_END_GROUP) {
        throw new InvalidProtocolBufferException("it has a group");
      }
      if (!reader.read(WireFormat.getTagFieldNumber(tag), wireType)) {
        boolean unused = in.skipField(tag);
      }
    }
  }

  private int size() throws IOException {
    int size = in.readRawVarint32();
    if (size < 0) {
      throw new InvalidProtocolBufferException("a message has a negative size");
    }
    return size;
  }

  private void count(long bytes) {
    graphBytes += bytes;
    if (graphBytes > MAX_GRAPH_BYTES) {
      throw new GraphException("its names and attributes take more than %d bytes", MAX_GRAPH_BYTES);
    }
  }
}
