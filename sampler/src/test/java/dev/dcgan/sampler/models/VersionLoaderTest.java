package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VersionLoaderTest {

  private static final List<Long> VERSIONS = List.of(1L);

  @TempDir private Path root;
  private Path onnx = Path.of("");
  private byte[] whole = {};
  private int rejected;

  @BeforeEach
  void model() throws IOException {
    onnx = Files.createDirectories(root.resolve("cats/1")).resolve("model.onnx");
    whole = TestModels.onnx(TestModels.weights(1, 1));
  }

  @Test
  void copyThatGrows_isNoRejection_untilItSettles() throws IOException {
    VersionLoader loader = loader();
    for (int size = 0; size < 9; size++) {
      Files.write(onnx, Arrays.copyOf(whole, size));
      assertRefusedAtTheNextLook(loader);
    }
    assertThat(rejected).isZero();

    for (int look = 0; look < 6; look++) {
      assertRefusedAtTheNextLook(loader);
    }
    assertThat(rejected).as("counted once").isEqualTo(1);

    Files.write(onnx, whole);
    assertRefusedAtTheNextLook(loader);
    loader.nextLook();
    assertThat(open(loader)).hasToString("cats/1");
    assertThat(loader.invalid("cats", VERSIONS)).isEmpty();
    assertThat(rejected).isEqualTo(1);
  }

  @Test
  void modelWithoutManifest_isOpenedAtOnce_atStart() throws IOException {
    Files.write(onnx, whole);
    VersionLoader loader = loader();
    loader.nextLook();
    assertThat(open(loader)).hasToString("cats/1");
  }

  @Test
  void modelThatIsCopiedLater_isOpenedAtTheSecondLook() throws IOException {
    VersionLoader loader = loader();
    loader.nextLook();
    loader.nextLook();
    Files.write(onnx, whole);
    assertRefusedAtTheNextLook(loader);
    loader.nextLook();
    assertThat(open(loader)).hasToString("cats/1");
    assertThat(rejected).isZero();
  }

  private void assertRefusedAtTheNextLook(VersionLoader loader) {
    loader.nextLook();
    assertThatThrownBy(() -> open(loader)).isInstanceOf(InvalidModelException.class);
    Map<Long, String> unused = loader.invalid("cats", VERSIONS);
  }

  private static ModelBundle open(VersionLoader loader) throws IOException {
    return loader.open("cats", 1, "nothing is served");
  }

  private VersionLoader loader() {
    return new VersionLoader(
        new ModelWatcherConfig(
            new ModelRepository(root), List.of(), Duration.ofMillis(10), 1, 0, 1, false, true),
        bundle -> {
          throw new IOException("only opened here");
        },
        new NoModelListener() {
          @Override
          public void rejected(String model) {
            rejected++;
          }
        },
        () -> false,
        new DeviceHealth(),
        new LoadBackoff<>(Duration.ofMillis(10), System::nanoTime));
  }
}
