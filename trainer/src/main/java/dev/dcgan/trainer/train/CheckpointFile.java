package dev.dcgan.trainer.train;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.dcgan.model.DurableFiles;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.train.Checkpoint.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Checkpoints on disk, in the safetensors format, so that other tools can read the weights too.
 *
 * <p>The length of a JSON header (little-endian uint64), the header (each tensor's type, shape and
 * place; strings of ours under {@code __metadata__}), then the values, little-endian float32.
 * Source: the safetensors format description. Ours are {@code format_version}, {@code run} (JSON:
 * architecture, hyperparameters, dataset, epoch, step) and {@code sha256} of the header without
 * this entry, followed by the values.
 */
public final class CheckpointFile {

  private static final int FORMAT_VERSION = 2;
  private static final int MAX_HEADER_BYTES = 16 << 20;
  private static final Gson GSON = new Gson();

  /** What a resume must know beside the tensors; the architecture by the arguments that make it. */
  private record Run(
      String architecture,
      int channels,
      int latentSize,
      int width,
      Hyperparameters hyperparameters,
      Checkpoint.Dataset dataset,
      int epoch,
      long step) {}

  private CheckpointFile() {}

  /**
   * Writes the checkpoint, whole or not at all.
   *
   * @throws IOException the file, if there was one, is untouched
   */
  public static void write(Path file, Checkpoint checkpoint) throws IOException {
    JsonObject header = new JsonObject();
    header.add("__metadata__", new JsonObject());
    long size = 0;
    for (Map.Entry<String, Tensor> entry : checkpoint.tensors().entrySet()) {
      long end = size + (long) Float.BYTES * entry.getValue().values().length;
      header.add(entry.getKey(), describe(entry.getValue(), size, end));
      size = end;
    }
    ByteBuffer values = littleEndian(Math.toIntExact(size));
    for (Tensor tensor : checkpoint.tensors().values()) {
      for (float value : tensor.values()) {
        values.putFloat(value);
      }
    }
    values.flip();
    JsonObject metadata = header.getAsJsonObject("__metadata__");
    metadata.addProperty("format_version", Integer.toString(FORMAT_VERSION));
    metadata.addProperty("run", GSON.toJson(run(checkpoint)));
    metadata.addProperty("sha256", sha256(header, values));
    byte[] json = bytes(header);
    ByteBuffer length = littleEndian(Long.BYTES).putLong(json.length).flip();
    DurableFiles.replace(file, length, ByteBuffer.wrap(json), values);
  }

  /**
   * Reads and verifies a checkpoint.
   *
   * @throws IOException missing, damaged, or of a newer format; the message says which
   */
  public static Checkpoint read(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long length = read(channel, Long.BYTES, file).getLong();
      if (length < 2 || length > MAX_HEADER_BYTES) {
        throw damaged(file, "a header of " + length + " bytes; expected 2 to " + MAX_HEADER_BYTES);
      }
      JsonObject header = header(read(channel, (int) length, file));
      JsonObject metadata = metadata(file, header);
      int size = Math.toIntExact(channel.size() - channel.position());
      ByteBuffer values = read(channel, size, file);
      String expected = metadata.remove("sha256").getAsString();
      String found = sha256(header, values);
      if (!found.equals(expected)) {
        throw damaged(file, "SHA-256 %s; its header says %s".formatted(found, expected));
      }
      return checkpoint(
          GSON.fromJson(metadata.get("run").getAsString(), Run.class), tensors(header, values));
    } catch (RuntimeException e) {
      // Gson, buffers and records tell of a malformed header each by exceptions of their own.
      throw new IOException(file + " is not a valid checkpoint: " + e.getMessage(), e);
    }
  }

  private static JsonObject header(ByteBuffer json) {
    return JsonParser.parseString(StandardCharsets.UTF_8.decode(json).toString()).getAsJsonObject();
  }

  private static JsonObject metadata(Path file, JsonObject header) throws IOException {
    JsonObject metadata = header.getAsJsonObject("__metadata__");
    if (metadata == null || !metadata.has("format_version")) {
      throw damaged(file, "no checkpoint of this trainer's: it lacks format_version");
    }
    int version = metadata.get("format_version").getAsInt();
    if (version != FORMAT_VERSION) {
      throw new IOException(
          "%s has format_version %d; this program reads %d: use a %s program"
              .formatted(
                  file, version, FORMAT_VERSION, version > FORMAT_VERSION ? "newer" : "older"));
    }
    return metadata;
  }

  private static Run run(Checkpoint checkpoint) {
    Architecture architecture = checkpoint.architecture();
    return new Run(
        architecture.name(),
        architecture.shape().channels(),
        architecture.latentSize(),
        architecture.width(),
        checkpoint.hyperparameters(),
        checkpoint.dataset(),
        checkpoint.epoch(),
        checkpoint.step());
  }

  private static Checkpoint checkpoint(Run run, Map<String, Tensor> tensors) {
    return new Checkpoint(
        Architecture.of(run.architecture, run.channels, run.latentSize, run.width),
        run.hyperparameters,
        run.dataset,
        run.epoch,
        run.step,
        tensors);
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
      if (!entry.getKey().equals("__metadata__")) {
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

  private static ByteBuffer read(FileChannel channel, int size, Path file) throws IOException {
    ByteBuffer bytes = littleEndian(size);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes) < 0) {
        throw damaged(file, "%d bytes where %d more are expected".formatted(channel.size(), size));
      }
    }
    return bytes.flip();
  }

  private static IOException damaged(Path file, String what) {
    return new IOException("%s is damaged: %s; use another checkpoint".formatted(file, what));
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
