package dev.dcgan.trainer.train;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.dcgan.model.DurableFiles;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.train.Checkpoint.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Named tensors on disk, in the safetensors format, so that other tools can read them too.
 *
 * <p>The length of a JSON header (little-endian uint64), the header (each tensor's type, shape and
 * place; strings of ours under {@code __metadata__}), then the values, little-endian float32.
 * Source: the safetensors format description. Of the strings, {@code format_version} and {@code
 * sha256} (of the header without this entry, followed by the values) are this class's, the rest is
 * the caller's.
 *
 * @param kind what messages call such a file: {@code checkpoint}
 * @param version of the caller's strings and names: the one written, and the highest read
 */
public record TensorFile(String kind, int version) {

  private static final int MAX_HEADER_BYTES = 16 << 20;
  private static final String METADATA = "__metadata__";
  private static final String VERSION = "format_version";
  private static final String SHA256 = "sha256";
  private static final Gson GSON = new Gson();

  /** What a file holds, in the file's order. */
  public record Content(Map<String, String> metadata, Map<String, Tensor> tensors) {

    public Content {
      metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
      tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }
  }

  /**
   * Writes a file, whole or not at all.
   *
   * @throws IOException the file, if there was one, is untouched
   */
  public void write(Path file, Content content) throws IOException {
    JsonObject header = new JsonObject();
    JsonObject metadata = new JsonObject();
    header.add(METADATA, metadata);
    long size = 0;
    for (Map.Entry<String, Tensor> entry : content.tensors().entrySet()) {
      long end = size + (long) Float.BYTES * entry.getValue().values().length;
      header.add(entry.getKey(), describe(entry.getValue(), size, end));
      size = end;
    }
    ByteBuffer values = littleEndian(Math.toIntExact(size));
    for (Tensor tensor : content.tensors().values()) {
      for (float value : tensor.values()) {
        values.putFloat(value);
      }
    }
    values.flip();
    metadata.addProperty(VERSION, Integer.toString(version));
    content.metadata().forEach(metadata::addProperty);
    metadata.addProperty(SHA256, sha256(header, values));
    byte[] json = bytes(header);
    ByteBuffer length = littleEndian(Long.BYTES).putLong(json.length).flip();
    DurableFiles.replace(file, length, ByteBuffer.wrap(json), values);
  }

  /**
   * Reads and verifies a file.
   *
   * @throws IOException missing, damaged, or of a newer format; the message says which
   */
  public Content read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long length = read(channel, Long.BYTES, file).getLong();
      if (length < 2 || length > MAX_HEADER_BYTES) {
        throw damaged(file, "a header of " + length + " bytes; expected 2 to " + MAX_HEADER_BYTES);
      }
      JsonObject header = header(read(channel, (int) length, file));
      JsonObject metadata = metadata(file, header);
      int size = Math.toIntExact(channel.size() - channel.position());
      ByteBuffer values = read(channel, size, file);
      String expected = metadata.remove(SHA256).getAsString();
      String found = sha256(header, values);
      if (!found.equals(expected)) {
        throw damaged(file, "SHA-256 %s; its header says %s".formatted(found, expected));
      }
      return new Content(strings(metadata), tensors(header, values));
    } catch (RuntimeException e) {
      // Gson, buffers and records tell of a malformed header each by exceptions of their own.
      throw new IOException("%s is not a valid %s: %s".formatted(file, kind, e.getMessage()), e);
    }
  }

  private static JsonObject header(ByteBuffer json) {
    return JsonParser.parseString(StandardCharsets.UTF_8.decode(json).toString()).getAsJsonObject();
  }

  private JsonObject metadata(Path file, JsonObject header) throws IOException {
    JsonObject metadata = header.getAsJsonObject(METADATA);
    if (metadata == null || !metadata.has(VERSION)) {
      throw damaged(file, "no %s of this trainer's: it lacks %s".formatted(kind, VERSION));
    }
    int found = metadata.get(VERSION).getAsInt();
    if (found < 1 || found > version) {
      throw new IOException(
          "%s has format_version %d; this program reads 1 to %d: use a newer program"
              .formatted(file, found, version));
    }
    return metadata;
  }

  private static Map<String, String> strings(JsonObject metadata) {
    Map<String, String> strings = new LinkedHashMap<>();
    for (Map.Entry<String, JsonElement> entry : metadata.entrySet()) {
      if (!entry.getKey().equals(VERSION)) {
        strings.put(entry.getKey(), entry.getValue().getAsString());
      }
    }
    return strings;
  }

  private static JsonObject describe(Tensor tensor, long start, long end) {
    JsonObject description = new JsonObject();
    description.addProperty("dtype", "F32");
    description.add("shape", GSON.toJsonTree(tensor.shape()));
    description.add("data_offsets", GSON.toJsonTree(new long[] {start, end}));
    return description;
  }

  private static Map<String, Tensor> tensors(JsonObject header, ByteBuffer values) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, JsonElement> entry : header.entrySet()) {
      if (!entry.getKey().equals(METADATA)) {
        JsonObject description = entry.getValue().getAsJsonObject();
        JsonArray offsets = description.getAsJsonArray("data_offsets");
        int start = offsets.get(0).getAsInt();
        ByteBuffer bytes = values.slice(start, offsets.get(1).getAsInt() - start);
        float[] floats = new float[bytes.remaining() / Float.BYTES];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
        tensors.put(
            entry.getKey(),
            new Tensor(GSON.fromJson(description.get("shape"), long[].class), floats));
      }
    }
    return tensors;
  }

  private ByteBuffer read(FileChannel channel, int size, Path file) throws IOException {
    ByteBuffer bytes = littleEndian(size);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes) < 0) {
        throw damaged(file, "%d bytes where %d more are expected".formatted(channel.size(), size));
      }
    }
    return bytes.flip();
  }

  private IOException damaged(Path file, String what) {
    return new IOException("%s is damaged: %s; use another %s".formatted(file, what, kind));
  }

  private static ByteBuffer littleEndian(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] bytes(JsonObject header) {
    return GSON.toJson(header).getBytes(StandardCharsets.UTF_8);
  }

  private static String sha256(JsonObject header, ByteBuffer values) {
    return new Sha256().add(bytes(header)).add(values).hex();
  }
}
