package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.StartRunRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any message starts a run that this machine can train, or names what is wrong. */
public class StartRunFuzzTest {

  private static final Path ROOT = Path.of("").toAbsolutePath();

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/start-run"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void request_isValidOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] message) throws IOException {
    List<ConfigViolation> wrong = new ArrayList<>();
    try {
      RunConfig requested = StartRunRequest.parseFrom(message).getConfig();
      RunConfig here = new DataRoot(ROOT).resolve(requested, wrong);
      TrainingConfig config = TrainingConfig.of(here);
      wrong.addAll(RunLimits.DEFAULT.violations(config));
      if (wrong.isEmpty()) {
        for (String path : List.of(here.getData(), here.getFeatures())) {
          assertThat(ROOT.resolve(path)).exists().startsWith(ROOT.toRealPath());
        }
        assertThat(config.hyperparameters().epochs()).isBetween(1, 20_000);
        assertThat(config.resources().toString()).isNotEmpty();
        assertThat(config.warnings(1000)).isNotNull();
      }
    } catch (InvalidProtocolBufferException e) {
      assertThat(e.getMessage()).isNotNull();
    } catch (InvalidConfigException e) {
      assertThat(e.violations()).isNotEmpty();
    }
    assertThat(wrong).allMatch(violation -> !violation.field().isEmpty());
  }
}
