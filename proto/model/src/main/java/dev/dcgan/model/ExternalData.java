package dev.dcgan.model;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Detects tensors of an ONNX model that are stored in other files (external data). The class parses
 * the model's protobuf as a stream and skips all fields that cannot contain a tensor, and all
 * weights.
 */
final class ExternalData {

  private static final int MAX_DEPTH = 100;
  private static final int MAX_NAME = 100;
  // Of a key or a value: only the location is needed, and the beginning of it is shown.
  private static final int MAX_TEXT_BYTES = 4 * MAX_NAME;
  private static final int EXTERNAL_DATA = 13; // A field of TensorProto.
  private static final int DATA_LOCATION = 14; // Another one.
  private static final int EXTERNAL = 1;

  /** The messages of onnx.proto that are tensors or may contain tensors. */
  private enum Message {
    MODEL,
    TRAINING,
    FUNCTION,
    GRAPH,
    NODE,
    ATTRIBUTE,
    SPARSE_TENSOR,
    TENSOR
  }

  // For each message: the fields that hold another such message.
  private static final Map<Message, Map<Integer, Message>> FIELDS =
      Map.of(
          Message.MODEL, Map.of(7, Message.GRAPH, 20, Message.TRAINING, 25, Message.FUNCTION),
          Message.TRAINING, Map.of(1, Message.GRAPH, 2, Message.GRAPH),
          Message.FUNCTION, Map.of(7, Message.NODE, 11, Message.ATTRIBUTE),
          Message.GRAPH, Map.of(1, Message.NODE, 5, Message.TENSOR, 15, Message.SPARSE_TENSOR),
          Message.NODE, Map.of(5, Message.ATTRIBUTE),
          Message.ATTRIBUTE,
              Map.of(
                  5, Message.TENSOR,
                  6, Message.GRAPH,
                  10, Message.TENSOR,
                  11, Message.GRAPH,
                  22, Message.SPARSE_TENSOR,
                  23, Message.SPARSE_TENSOR),
          Message.SPARSE_TENSOR, Map.of(1, Message.TENSOR, 2, Message.TENSOR),
          Message.TENSOR, Map.of());

  private ExternalData() {}

  /**
   * Requires that a model stores no tensor in another file. A file that is not an ONNX model
   * passes.
   *
   * @throws InvalidModelException if the model has external data
   */
  static void refuse(Path onnx) throws IOException {
    try (InputStream file = Files.newInputStream(onnx)) {
      refuse(onnx, file);
    }
  }

  /** As above, from the bytes of the file. */
  static void refuse(Path onnx, InputStream file) throws IOException {
    String found;
    try {
      found = find(onnx, CodedInputStream.newInstance(file), Message.MODEL, 0);
    } catch (InvalidProtocolBufferException e) {
      return; // ONNX Runtime refuses the file with a better message.
    }
    if (found != null) {
      throw new InvalidModelException(
          ("%s stores weights in another file (external data): '%s', which its digest does not"
                  + " cover; expected a single file: run onnx.save(onnx.load(file), file) in"
                  + " Python, or export it with external_data=False")
              .formatted(
                  onnx,
                  found
                      .substring(0, Math.min(found.length(), MAX_NAME))
                      .replaceAll("\\p{Cntrl}", "?")));
    }
  }

  /** Returns the file of the first external tensor; null: there is none. */
  private static @Nullable String find(Path onnx, CodedInputStream in, Message message, int depth)
      throws IOException {
    if (depth > MAX_DEPTH) {
      throw new InvalidModelException(
          "%s has messages nested more than %d levels deep".formatted(onnx, MAX_DEPTH));
    }
    if (message == Message.TENSOR) {
      return location(in);
    }
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      @Nullable Message inner =
          FIELDS.getOrDefault(message, Map.of()).get(WireFormat.getTagFieldNumber(tag));
      if (inner == null || !isMessage(tag)) {
        in.skipField(tag);
        continue;
      }
      int limit = in.pushLimit(in.readRawVarint32());
      String found = find(onnx, in, inner, depth + 1);
      if (found != null) {
        return found;
      }
      in.popLimit(limit);
    }
    return null;
  }

  /** Returns the file that a tensor is stored in; null: it is not external. */
  private static @Nullable String location(CodedInputStream in) throws IOException {
    boolean external = false;
    String location = "";
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int field = WireFormat.getTagFieldNumber(tag);
      if (field == DATA_LOCATION && WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_VARINT) {
        external = in.readInt32() == EXTERNAL;
      } else if (field == EXTERNAL_DATA && isMessage(tag)) {
        int limit = in.pushLimit(in.readRawVarint32());
        String key = "";
        String value = "";
        for (int entry = in.readTag(); entry != 0; entry = in.readTag()) {
          int part = WireFormat.getTagFieldNumber(entry);
          if (part == 1 && isMessage(entry)) {
            key = text(in);
          } else if (part == 2 && isMessage(entry)) {
            value = text(in);
          } else {
            in.skipField(entry);
          }
        }
        in.popLimit(limit);
        location = key.equals("location") ? value : location;
      } else {
        in.skipField(tag);
      }
    }
    return external ? location : null;
  }

  /** Returns the beginning of a text, and skips the rest: a file may claim that it is very long. */
  private static String text(CodedInputStream in) throws IOException {
    int size = in.readRawVarint32();
    int limit = in.pushLimit(size); // Also checks that the text ends within its message.
    int read = Math.min(size, MAX_TEXT_BYTES);
    String text = new String(in.readRawBytes(read), StandardCharsets.UTF_8);
    in.skipRawBytes(size - read);
    in.popLimit(limit);
    return text;
  }

  private static boolean isMessage(int tag) {
    return WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_LENGTH_DELIMITED;
  }
}
