package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunDirectoryTest {

  private static final Run RUN =
      Run.newBuilder()
          .setState(RunState.RUN_STATE_QUEUED)
          .setRequestedConfig(RunConfig.newBuilder().setPreset("mnist28"))
          .build();

  @TempDir Path folder;
  private RunDirectory run;
  private Path file;

  @BeforeEach
  void write() throws IOException {
    run = new RunDirectory(folder);
    file = folder.resolve("run.json");
    run.write(RUN);
  }

  @Test
  void read_givesWhatWasWritten() throws IOException {
    assertThat(run.read()).isEqualTo(RUN.toBuilder().setFormatVersion(2).setId(run.id()).build());
  }

  @Test
  void read_ofAHugeFile_isRefused_withItsSize() throws IOException {
    Files.write(file, new byte[50 << 20]);

    assertThatThrownBy(run::read)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("run.json has 52428800 bytes; expected at most 2097152");
  }

  /** Its preset's own may differ today. */
  @Test
  void read_ofAnEarlierVersionsRun_hasTheRecipeOfThatTime() throws IOException {
    RunConfig earlier = RunConfig.newBuilder().setPreset("mnist28-fast").setEpochs(3).build();
    run.write(RUN.toBuilder().setConfig(earlier).build());

    assertThat(run.read().getConfig())
        .isEqualTo(
            earlier.toBuilder()
                .setMirror(false)
                .setAugment("none")
                .setFakes("fresh")
                .setLearningRateDecay(0)
                .build());
  }

  @ParameterizedTest
  @CsvSource({
    "0, start a new run",
    "1, start a new run",
    "3, use a newer program",
    "4294967295, use a newer program"
  })
  void read_refusesAnotherFormat_andSaysWhatToDo(String version, String advice) throws IOException {
    String current = "\"formatVersion\": 2";
    assertThat(file).content().contains(current);
    Files.writeString(
        file, Files.readString(file).replace(current, "\"formatVersion\": " + version));

    assertThatThrownBy(run::read)
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining("format_version %s; expected 2", version)
        .hasMessageContaining(advice)
        .message()
        .doesNotContain("\n");
  }
}
