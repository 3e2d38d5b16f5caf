package dev.dcgan.trainer.torch;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.Sha256;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
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
public record SafetensorsFile(String kind, int version) {

  private static final int MAX_HEADER_BYTES = 16 << 20;
  private static final String METADATA = "__metadata__";
  private static final String VERSION = "format_version";
  private static final String SHA256 = "sha256";
  private static final String NO_SHA256 = "0".repeat(64);
  private static final int CHUNK_BYTES = 4 << 20;
  private static final Gson GSON = new Gson();

  /** What a file holds, in the file's order; tensors hold no values, but read them. */
  public record Content(Map<String, String> metadata, Map<String, Tensor> tensors) {

    public Content {
      metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
      tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }
  }

  /**
   * Writes a file, whole or not at all, through one bounded buffer.
   *
   * @throws IOException the file, if there was one, is untouched
   */
  public void write(Path file, Content content) throws IOException {
    AtomicFiles.replace(file, channel -> write(channel, content));
  }

  void write(FileChannel channel, Content content) throws IOException {
    JsonObject header = header(content);
    Sha256 digest = new Sha256().add(bytes(header));
    // The header comes before the values and holds their digest, so it is written last.
    channel.position(Long.BYTES + bytes(withSha256(header, NO_SHA256)).length);
    ByteBuffer chunk = littleEndian(CHUNK_BYTES);
    for (Tensor tensor : content.tensors().values()) {
      long size = tensor.size();
      for (long first = 0; first < size; first += CHUNK_BYTES / Float.BYTES) {
        chunk.clear().limit((int) Math.min(CHUNK_BYTES, (size - first) * Float.BYTES));
        tensor.read(first, chunk);
        digest.add(chunk.flip());
        writeFully(channel, chunk);
      }
    }
    byte[] json = bytes(withSha256(header, digest.hex()));
    channel.position(0);
    writeFully(channel, littleEndian(Long.BYTES).putLong(json.length).flip());
    writeFully(channel, ByteBuffer.wrap(json));
  }

  /** The header without the digest, which covers it. */
  private JsonObject header(Content content) {
    JsonObject header = new JsonObject();
    JsonObject metadata = new JsonObject();
    header.add(METADATA, metadata);
    long start = 0;
    for (Map.Entry<String, Tensor> entry : content.tensors().entrySet()) {
      long end = start + Float.BYTES * entry.getValue().size();
      header.add(entry.getKey(), describe(entry.getValue(), start, end));
      start = end;
    }
    metadata.addProperty(VERSION, Integer.toString(version));
    content.metadata().forEach(metadata::addProperty);
    return header;
  }

  private static JsonObject withSha256(JsonObject header, String sha256) {
    JsonObject complete = header.deepCopy();
    complete.getAsJsonObject(METADATA).addProperty(SHA256, sha256);
    return complete;
  }

  /**
   * Verifies a file as a whole, and describes it; the tensors' values are read from the file when
   * they are needed.
   *
   * @throws DamagedFileException it is not what was written
   * @throws IOException missing, or of a newer format; the message says which
   */
  public Content read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long length = read(channel, Long.BYTES, file).getLong();
      if (length < 2 || length > MAX_HEADER_BYTES) {
        throw damaged(file, "a header of " + length + " bytes; expected 2 to " + MAX_HEADER_BYTES);
      }
      JsonObject header = header(read(channel, (int) length, file));
      JsonObject metadata = metadata(file, header);
      long start = channel.position();
      String expected = metadata.remove(SHA256).getAsString();
      String found = sha256(header, channel);
      if (!found.equals(expected)) {
        throw damaged(file, "SHA-256 %s; its header says %s".formatted(found, expected));
      }
      return new Content(strings(metadata), tensors(header, file, start, channel.position()));
    } catch (RuntimeException e) {
      // Gson, buffers and records tell of a malformed header each by exceptions of their own.
      throw new DamagedFileException(
          "%s is not a valid %s: %s".formatted(file, kind, e.getMessage()), e);
    }
  }

  /** Of the header, followed by the rest of the file. */
  private static String sha256(JsonObject header, FileChannel channel) throws IOException {
    Sha256 digest = new Sha256().add(bytes(header));
    ByteBuffer chunk = littleEndian(CHUNK_BYTES);
    while (channel.read(chunk.clear()) >= 0) {
      digest.add(chunk.flip());
    }
    return digest.hex();
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

  /** The tensors of the values between {@code start} and {@code end} in the file. */
  private static Map<String, Tensor> tensors(JsonObject header, Path file, long start, long end) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, JsonElement> entry : header.entrySet()) {
      if (!entry.getKey().equals(METADATA)) {
        JsonObject description = entry.getValue().getAsJsonObject();
        long[] shape = GSON.fromJson(description.get("shape"), long[].class);
        JsonArray offsets = description.getAsJsonArray("data_offsets");
        long first = offsets.get(0).getAsLong();
        long last = offsets.get(1).getAsLong();
        if (first < 0
            || last > end - start
            || last - first != Math.multiplyExact(Float.BYTES, Tensor.size(shape))) {
          throw new IllegalArgumentException(
              "%s of shape %s at bytes %d to %d of %d"
                  .formatted(entry.getKey(), Arrays.toString(shape), first, last, end - start));
        }
        tensors.put(entry.getKey(), new StoredTensor(file, start + first, shape));
      }
    }
    return tensors;
  }

  /**
   * A tensor in a file.
   *
   * @param start of its values, from the file's beginning
   */
  @SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
  record StoredTensor(Path file, long start, long[] shape) implements Tensor {

    @Override
    public void read(long first, ByteBuffer into) throws IOException {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
        channel.position(start + first * Float.BYTES);
        while (into.hasRemaining()) {
          if (channel.read(into) < 0) {
            throw new DamagedFileException(file + " was cut short after it was verified", null);
          }
        }
      }
    }
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

  private DamagedFileException damaged(Path file, String what) {
    return new DamagedFileException(
        "%s is damaged: %s; use another %s".formatted(file, what, kind), null);
  }

  private static ByteBuffer littleEndian(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] bytes(JsonObject header) {
    return GSON.toJson(header).getBytes(StandardCharsets.UTF_8);
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
