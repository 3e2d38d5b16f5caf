package dev.dcgan.trainer.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StepMetrics;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class RunLinesTest {

  @Test
  void table_alignsNamesAndFigures_andEndsWithTheReason() {
    Run running =
        run("20261125-080000-faces", RunState.RUN_STATE_RUNNING)
            .setProgress(
                Progress.newBuilder()
                    .setEpoch(3)
                    .setStep(1500)
                    .setImagesPerSecond(3141.6)
                    .setSecondsLeft(7500))
            .putQuality("frechet_distance", 12.345)
            .build();
    Run failed =
        run("20261124-090000-digits-2", RunState.RUN_STATE_FAILED)
            .setReason("the disk is full")
            .setProgress(Progress.newBuilder().setImagesPerSecond(99).setSecondsLeft(1))
            .build();

    assertThat(RunLines.table(List.of(running, failed)))
        .containsExactly(
            "RUN                       STATE    EPOCH  STEP  IMAGES/S        LEFT  FRECHET  REASON",
            "20261125-080000-faces     RUNNING   3/25  1500      3142  2 h 05 min    12.35",
            "20261124-090000-digits-2  FAILED    0/25     0         -           -        -  the disk is full");
  }

  @Test
  void line_ofAnEpoch_hasItsMeans() {
    RunEvent event =
        RunEvent.newBuilder()
            .setEpochCompleted(
                RunEvent.EpochCompleted.newBuilder()
                    .setMetrics(
                        StepMetrics.newBuilder()
                            .setEpoch(3)
                            .setDiscriminatorLoss(0.5f)
                            .setGeneratorLoss(1.25f)
                            .setRealScore(0.75f)
                            .setFakeScore(0.125f)
                            .setImagesPerSecond(3141.6))
                    .setSecondsLeft(200))
            .build();

    assertThat(RunLines.line(event, 25))
        .contains(
            "epoch 3/25: loss D 0.500, G 1.250, D(x) 0.750, D(G(z)) 0.125, 3142 images/s,"
                + " 3 min 20 s left");
  }

  @Test
  void line_ofWhatElseHappens() {
    assertThat(line(event -> event.getStateChangedBuilder().setState(RunState.RUN_STATE_RUNNING)))
        .isEqualTo("RUNNING");
    assertThat(
            line(
                event ->
                    event
                        .getStateChangedBuilder()
                        .setState(RunState.RUN_STATE_FAILED)
                        .setReason("no disk")))
        .isEqualTo("FAILED: no disk");
    assertThat(
            line(
                event ->
                    event
                        .getEvaluatedBuilder()
                        .setEpoch(5)
                        .putQuality("recall", 0.5)
                        .putQuality("frechet_distance", 7)))
        .isEqualTo("epoch 5/25: quality frechet distance 7.00 (not Inception FID), recall 0.50");
    assertThat(
            line(
                event -> event.getWarningBuilder().setStep(7).setMessage("the generator is stuck")))
        .isEqualTo("warning at step 7: the generator is stuck");
    assertThat(
            line(
                event ->
                    event.getWarningBuilder().setStep(9).setMessage("it moves").setCleared(true)))
        .isEqualTo("resolved at step 9: it moves");
    assertThat(
            line(
                event ->
                    event
                        .getModelPublishedBuilder()
                        .setEpoch(25)
                        .setModel(ModelVersion.newBuilder().setName("digits").setVersion(3))))
        .isEqualTo("epoch 25/25: published digits/3");
    assertThat(line(event -> event.getResumedBuilder().setEpoch(2).setStep(40)))
        .isEqualTo("resuming from step 40, epoch 2/25");
  }

  @Test
  void line_ofAStepOrACheckpoint_isNone() {
    assertThat(
            RunLines.line(
                RunEvent.newBuilder().setStep(StepMetrics.getDefaultInstance()).build(), 1))
        .isEmpty();
    assertThat(
            RunLines.line(
                RunEvent.newBuilder()
                    .setCheckpointSaved(RunEvent.CheckpointSaved.getDefaultInstance())
                    .build(),
                1))
        .isEmpty();
  }

  private static String line(Consumer<RunEvent.Builder> fill) {
    RunEvent.Builder event = RunEvent.newBuilder();
    fill.accept(event);
    return RunLines.line(event.build(), 25).orElseThrow();
  }

  private static Run.Builder run(String id, RunState state) {
    return Run.newBuilder()
        .setId(id)
        .setState(state)
        .setConfig(RunConfig.newBuilder().setEpochs(25));
  }
}
