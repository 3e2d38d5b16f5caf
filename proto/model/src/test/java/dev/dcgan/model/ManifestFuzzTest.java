package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.file.Path;

/** Any bytes are a manifest or are refused in one line. */
class ManifestFuzzTest {

  @FuzzTest
  void manifest_isValidOrRefused(byte[] json) throws IOException {
    Path file = Path.of("manifest.json");
    try {
      ModelManifest manifest = ModelBundle.parseManifest(file, json);
      ModelBundle.check(file, manifest);
    } catch (InvalidModelException e) {
      assertThat(e.getMessage()).doesNotContain("\n").hasSizeLessThan(100_000);
    }
  }
}
