package dev.dcgan.trainer.eval;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Checks the graph of a feature model before ONNX Runtime opens it. A caller of the service may
 * name any file below the data root, so the graph must be feed-forward, which ends, and must not
 * name other files. The class reads the model's protobuf as a stream and skips the weights.
 */
final class FeatureGraph {

  private static final int MAX_NAME = 100;
  private static final int OP_TYPE = 4; // A field of NodeProto.
  private static final int DATA_LOCATION = 14; // A field of TensorProto.
  private static final int EXTERNAL = 1;

  /** The messages of onnx.proto that are read, and those that are refused. */
  private enum Message {
    MODEL,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    TRAINING,
    FUNCTION,
    SUBGRAPH,
    SPARSE
  }

  // For each message: the fields that hold another such message.
  private static final Map<Message, Map<Integer, Message>> FIELDS =
      Map.of(
          Message.MODEL, Map.of(7, Message.GRAPH, 20, Message.TRAINING, 25, Message.FUNCTION),
          Message.GRAPH, Map.of(1, Message.NODE, 5, Message.TENSOR, 15, Message.SPARSE),
          Message.NODE, Map.of(5, Message.ATTRIBUTE),
          Message.ATTRIBUTE,
              Map.of(
                  5, Message.TENSOR,
                  6, Message.SUBGRAPH,
                  10, Message.TENSOR,
                  11, Message.SUBGRAPH,
                  22, Message.SPARSE,
                  23, Message.SPARSE),
          Message.TENSOR, Map.of());

  private FeatureGraph() {}

  /**
   * Requires a feed-forward graph in a single file.
   *
   * @throws IOException it is not one, or no ONNX model; the message names the file
   */
  static void require(Path onnx) throws IOException {
    try (InputStream file = Files.newInputStream(onnx)) {
      require(onnx, file);
    }
  }

  /**
   * As {@link #require(Path)}.
   *
   * @param file the content of the model
   */
  static void require(Path onnx, InputStream file) throws IOException {
    try {
      CodedInputStream in = CodedInputStream.newInstance(file);
      require(onnx, in, Message.MODEL);
      if (!in.isAtEnd()) {
        throw new InvalidProtocolBufferException("it has an invalid tag");
      }
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(
          "cannot load %s: it is not an ONNX model: %s"
              .formatted(onnx, String.valueOf(e.getMessage()).lines().findFirst().orElse("")),
          e);
    }
  }

  private static void require(Path onnx, CodedInputStream in, Message message) throws IOException {
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int field = WireFormat.getTagFieldNumber(tag);
      int wireType = WireFormat.getTagWireType(tag);
      if (message == Message.TENSOR
          && field == DATA_LOCATION
          && wireType == WireFormat.WIRETYPE_VARINT) {
        if (in.readInt32() == EXTERNAL) {
          throw refused(onnx, "has weights in another file (external data)", "a single file");
        }
      } else if (wireType != WireFormat.WIRETYPE_LENGTH_DELIMITED) {
        in.skipField(tag);
      } else if (message == Message.NODE && field == OP_TYPE) {
        requireOperator(onnx, operator(onnx, in));
      } else {
        Message inner = FIELDS.getOrDefault(message, Map.of()).get(field);
        if (inner == null) {
          in.skipField(tag);
        } else {
          requireAllowed(onnx, inner);
          int limit = in.pushLimit(in.readRawVarint32());
          require(onnx, in, inner);
          in.popLimit(limit);
        }
      }
    }
  }

  private static void requireAllowed(Path onnx, Message message) throws IOException {
    switch (message) {
      case TRAINING -> throw refused(onnx, "has training information", "a graph alone");
      case FUNCTION -> throw refused(onnx, "has local functions", "operators of ONNX");
      case SUBGRAPH ->
          throw refused(
              onnx, "has a subgraph, as Loop, If and Scan do", "a feed-forward graph without one");
      case SPARSE -> throw refused(onnx, "has sparse weights", "dense ones");
      default -> {}
    }
  }

  /** A file may claim that a name is very long: only as much is read as the longest one has. */
  private static String operator(Path onnx, CodedInputStream in) throws IOException {
    int size = in.readRawVarint32();
    if (size < 0 || size > MAX_NAME) {
      throw refused(
          onnx,
          "has an operator with a name of %s bytes".formatted(Integer.toUnsignedString(size)),
          "at most " + MAX_NAME);
    }
    return new String(in.readRawBytes(size), StandardCharsets.UTF_8);
  }

  private static void requireOperator(Path onnx, String operator) throws IOException {
    boolean allowed =
        switch (operator) {
          case "Loop", "If", "Scan" -> false;
          default ->
              !operator.startsWith("Sequence")
                  && !operator.endsWith("Sequence")
                  && !operator.startsWith("Optional");
        };
    if (!allowed) {
      throw refused(
          onnx,
          "has the operator '%s'".formatted(operator.replaceAll("\\p{Cntrl}", "?")),
          "a feed-forward graph of tensors");
    }
  }

  private static IOException refused(Path onnx, String found, String expected) {
    return new IOException(
        "cannot use %s: it %s; expected %s: export the model again"
            .formatted(onnx, found, expected));
  }
}
