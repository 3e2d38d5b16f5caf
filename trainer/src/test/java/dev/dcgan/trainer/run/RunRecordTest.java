package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.tuple;

import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunRecordTest {

  private static final InstantSource CLOCK = InstantSource.fixed(Instant.ofEpochSecond(1));

  @TempDir private Path folder;

  private RunDirectory run;

  @BeforeEach
  void create() throws IOException {
    run = new RunStore(folder, CLOCK).create(Run.getDefaultInstance());
  }

  @Test
  void events_skipDamagedLines_andKeepTheNumbersOfTheRest() throws IOException {
    try (RunRecord record = RunRecord.open(run, CLOCK)) {
      record.event(step(1));
    }
    Files.writeString(
        run.events(),
        "no json\n{\"step\": {\"step\": \"x\"}}\n" + "[".repeat(70_000) + "\n",
        StandardOpenOption.APPEND);

    try (RunRecord record = RunRecord.open(run, CLOCK)) {
      record.event(step(5));

      assertThat(record.events(0, 10).list())
          .extracting(RunEvent::getIndex, event -> event.getStep().getStep())
          .containsExactly(tuple(0L, 1L), tuple(4L, 5L));
      assertThat(record.events(1, 3)).isEqualTo(new RunRecord.Events(List.of(), 4));
    }
  }

  @Test
  void whatCouldNotBeWritten_isWrittenLater_inItsOrder() throws IOException {
    try (RunRecord record = RunRecord.open(run, CLOCK)) {
      Path file = run.path().resolve("run.json");
      byte[] json = Files.readAllBytes(file);
      Files.delete(file);
      Files.createDirectories(file.resolve("in the way"));
      assertThatIOException().isThrownBy(() -> record.state(RunState.RUN_STATE_SUCCEEDED, "done"));
      assertThat(record.isUnwritten()).isTrue();
      assertThatIOException().isThrownBy(record::rewrite);
      Files.delete(file.resolve("in the way"));
      Files.delete(file);
      Files.write(file, json);

      record.rewrite();

      assertThat(record.isUnwritten()).isFalse();
      assertThat(run.read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
      assertThat(record.events(0, 10).list())
          .singleElement()
          .returns(RunState.RUN_STATE_SUCCEEDED, event -> event.getStateChanged().getState());
    }
  }

  private static RunEvent.Builder step(long step) {
    RunEvent.Builder event = RunEvent.newBuilder();
    event.getStepBuilder().setStep(step);
    return event;
  }
}
