package dev.dcgan.model;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Any bytes are keys or are refused. */
class KeysFuzzTest {

  private static Path file = Path.of("");

  @BeforeAll
  static void create() throws IOException {
    file = Files.createTempFile("keys", ".pem");
  }

  @AfterAll
  static void delete() throws IOException {
    Files.deleteIfExists(file);
  }

  @FuzzTest
  void keys_areReadOrRefused(byte[] pem) throws IOException {
    Files.write(file, pem);
    try {
      TrustedKeys keys = TrustedKeys.read(file);
      keys.verify(pem, file);
    } catch (IOException e) {
      // Refused.
    }
  }
}
