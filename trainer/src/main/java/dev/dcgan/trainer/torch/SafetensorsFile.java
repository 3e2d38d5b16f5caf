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
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A file format of named float32 tensors and strings: safetensors, which other tools can read too.
 *
 * <p>A file has the length of a JSON header (little-endian uint64), the header (each tensor's type,
 * shape and offsets; strings under {@code __metadata__}), and the values, little-endian float32.
 * Source: the safetensors format description. This class adds the strings {@code format_version}
 * and {@code sha256} (of the header without that entry, followed by the values); all others are the
 * caller's.
 *
 * @param kind what the file is called in messages: {@code checkpoint}
 * @param version the version of the caller's names, which is written, and the highest that is read
 */
public record SafetensorsFile(String kind, int version) {

  private static final int MAX_HEADER_BYTES = 16 << 20;
  private static final String METADATA = "__metadata__";
  private static final String VERSION = "format_version";
  private static final String SHA256 = "sha256";
  private static final String NO_SHA256 = "0".repeat(64);
  private static final int CHUNK_BYTES = 4 << 20;
  private static final Gson GSON = new Gson();

  /** The content of a file, in order; tensors read their values from the file on access. */
  public record Content(Map<String, String> metadata, Map<String, Tensor> tensors) {

    public Content {
      metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
      tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }
  }

  /**
   * Writes a file atomically, through one bounded buffer.
   *
   * @throws IOException if it cannot be written; an existing file is unchanged
   */
  public void write(Path file, Content content) throws IOException {
    AtomicFiles.replace(file, channel -> write(channel, content));
  }

  void write(FileChannel channel, Content content) throws IOException {
    JsonObject header = header(content);
    Sha256 digest = new Sha256().add(bytes(header));
    // The header precedes the values and contains their digest, so it is written last.
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

  /** The header without the digest, which covers the header too. */
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
   * Verifies a file's digest and reads its header; the tensors' values are read on access.
   *
   * @throws DamagedFileException if the file is truncated or was changed
   * @throws IOException if it does not exist or has a newer format version
   */
  public Content read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return read(file, channel);
    }
  }

  /**
   * As {@link #read(Path)}.
   *
   * @param channel at the beginning of the file's content
   */
  public Content read(Path file, SeekableByteChannel channel) throws IOException {
    try {
      long length = read(channel, Long.BYTES, file).getLong();
      if (length < 2 || length > MAX_HEADER_BYTES) {
        throw damaged(
            file, "its header has " + length + " bytes; expected 2 to " + MAX_HEADER_BYTES);
      }
      JsonObject header = header(read(channel, (int) length, file));
      JsonObject metadata = metadata(file, header);
      long start = channel.position();
      String expected = metadata.remove(SHA256).getAsString();
      String found = sha256(header, channel);
      if (!found.equals(expected)) {
        throw damaged(file, "its SHA-256 is %s; expected %s".formatted(found, expected));
      }
      return new Content(strings(metadata), tensors(header, file, start, channel.size()));
    } catch (RuntimeException e) {
      // Gson, buffers and records throw different exceptions for a malformed header.
      throw new DamagedFileException(
          "cannot read %s: it is not a valid %s (%s)".formatted(file, kind, e.getMessage()), e);
    }
  }

  /** The digest of the header and the rest of the file. */
  private static String sha256(JsonObject header, SeekableByteChannel channel) throws IOException {
    Sha256 digest = new Sha256().add(bytes(header));
    long rest = channel.size() - channel.position();
    ByteBuffer chunk = littleEndian((int) Math.max(1, Math.min(CHUNK_BYTES, rest)));
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
      throw damaged(
          file, "it has no %s, so it is not a %s of this trainer".formatted(VERSION, kind));
    }
    int found = metadata.get(VERSION).getAsInt();
    if (found < 1 || found > version) {
      throw new IOException(
          "cannot read %s: format_version %d; this program reads 1 to %d: use a newer program"
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

  /** The tensors whose values are between {@code start} and {@code end} in the file. */
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
        tensors.put(entry.getKey(), new StoredTensor(file, end, start + first, shape));
      }
    }
    return tensors;
  }

  /**
   * A tensor in a file.
   *
   * @param fileSize of the file that was verified, bytes
   * @param start of its values, from the file's beginning
   */
  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
  record StoredTensor(Path file, long fileSize, long start, long[] shape) implements Tensor {

    @Override
    public void read(long first, ByteBuffer into) throws IOException {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
        if (channel.size() != fileSize) {
          // Another header would put the values elsewhere.
          throw new DamagedFileException(
              file + " was cut short or replaced after it was verified; read it again", null);
        }
        channel.position(start + first * Float.BYTES);
        while (into.hasRemaining()) {
          if (channel.read(into) < 0) {
            throw new DamagedFileException(
                "cannot read " + file + ": it was truncated after it was verified", null);
          }
        }
      }
    }
  }

  private ByteBuffer read(SeekableByteChannel channel, int size, Path file) throws IOException {
    if (channel.size() - channel.position() < size) { // Memory only for what is there.
      throw damaged(file, "it has %d bytes; expected %d more".formatted(channel.size(), size));
    }
    ByteBuffer bytes = littleEndian(size);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes) < 0) {
        throw damaged(file, "it has %d bytes; expected %d more".formatted(channel.size(), size));
      }
    }
    return bytes.flip();
  }

  private DamagedFileException damaged(Path file, String what) {
    return new DamagedFileException(
        "cannot read %s: it is damaged, %s; use another %s".formatted(file, what, kind), null);
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
