package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Any bytes are a checkpoint or are refused. */
class SafetensorsFuzzTest {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 1);

  private static Path file = Path.of("");

  @BeforeAll
  static void create() throws IOException {
    file = Files.createTempFile("checkpoint", ".safetensors");
  }

  @AfterAll
  static void delete() throws IOException {
    Files.deleteIfExists(file);
  }

  @FuzzTest
  void checkpoint_isReadOrRefused(byte[] bytes) throws IOException {
    Files.write(file, bytes);
    try {
      assertThat(FORMAT.read(file)).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
