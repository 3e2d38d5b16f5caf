package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
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
import org.slf4j.LoggerFactory;

class VersionLoaderTest {

  private static final List<Long> VERSIONS = List.of(1L);

  @TempDir private Path root;
  private Path onnx = Path.of("");
  private byte[] whole = {};
  private String served = "nothing of it is served";
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
  void rejection_saysWhatIsServed_whenItIsReported() throws IOException {
    Logger logger = (Logger) LoggerFactory.getLogger(VersionLoader.class);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    logger.addAppender(log);
    try {
      Files.write(onnx, new byte[1]);
      VersionLoader loader = loader();
      assertRefusedAtTheNextLook(loader);
      served = "still serving cats/2"; // Which was loaded after the first look at cats/1.
      assertRefusedAtTheNextLook(loader);
      assertRefusedAtTheNextLook(loader);
    } finally {
      logger.detachAppender(log);
    }
    assertThat(log.list)
        .extracting(ILoggingEvent::getFormattedMessage)
        .filteredOn(line -> line.startsWith("skipped"))
        .singleElement()
        .asString()
        .startsWith("skipped cats/1, still serving cats/2: ");
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
    return loader.open("cats", 1);
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
        model -> served,
        new DeviceHealth(),
        new LoadBackoff<>(Duration.ofMillis(10), System::nanoTime));
  }
}
