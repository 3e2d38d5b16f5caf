package dev.dcgan.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.torch.SafetensorsFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.apache.commons.compress.utils.SeekableInMemoryByteChannel;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any header with the right digest is that of a checkpoint or is refused. */
public class CheckpointFuzzTest {

  private static final Path FILE = Path.of("checkpoint");
  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 3);
  private static final byte[] VALUES = new byte[64];

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/checkpoint-header"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void header_isReadOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] header) {
    byte[] file;
    try {
      file = withDigest(JsonParser.parseString(new String(header, StandardCharsets.UTF_8)));
    } catch (JsonParseException | IllegalStateException e) {
      return; // SafetensorsFuzzTest has those.
    }
    try {
      SafetensorsFile.Content content = FORMAT.read(FILE, new SeekableInMemoryByteChannel(file));
      Checkpoint checkpoint = CheckpointFile.checkpoint(FILE, content);
      assertThat(checkpoint.architecture().latentSize()).isPositive();
      assertThat(checkpoint.tensors()).isEqualTo(content.tensors());
    } catch (IOException e) {
      assertThat(e.getMessage()).startsWith("c");
    }
  }

  /** A file with this header and a few values, and the digest that a fuzzer does not find. */
  private static byte[] withDigest(JsonElement parsed) {
    JsonObject header = parsed.getAsJsonObject();
    if (header.get("__metadata__") instanceof JsonObject metadata) {
      metadata.remove("sha256");
      String sha256 =
          new Sha256().add(header.toString().getBytes(StandardCharsets.UTF_8)).add(VALUES).hex();
      metadata.addProperty("sha256", sha256);
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + json.length + VALUES.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(VALUES)
        .array();
  }
}
