package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

class TrainingLoopTest {

  private static final Architecture NARROW = Architecture.mnist28(16, 8);

  @Test
  void run_sameArguments_givesTheSameWeightsToTheBit() throws IOException {
    Checkpoint first = train(hyperparameters(2, 3), new Recorder());
    Checkpoint second = train(hyperparameters(2, 3), new Recorder());

    assertThat(second).usingRecursiveComparison().isEqualTo(first);
  }

  @Test
  void run_onAnotherThread_givesTheSameWeights() throws Exception {
    Checkpoint here = train(hyperparameters(1, 3), new Recorder());
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      Checkpoint there = thread.submit(() -> train(hyperparameters(1, 3), new Recorder())).get();

      assertThat(there).usingRecursiveComparison().isEqualTo(here);
    } finally {
      thread.shutdown();
    }
  }

  @Test
  void run_anotherSeed_givesOtherWeights() throws IOException {
    Checkpoint first = train(hyperparameters(1, 3), new Recorder());
    Checkpoint second = train(hyperparameters(1, 4), new Recorder());

    String weight = "generator.01ConvTranspose2d_weight";
    assertThat(second.tensors().get(weight))
        .usingRecursiveComparison()
        .isNotEqualTo(first.tensors().get(weight));
  }

  @Test
  void run_reportsEveryStepAndEpoch() throws IOException {
    Recorder recorder = new Recorder();

    Checkpoint last = train(hyperparameters(2, 3), recorder);

    // 40 pictures in batches of 16: 16, 16 and the rest
    assertThat(recorder.steps)
        .extracting(TrainingObserver.Step::images)
        .containsExactly(16, 16, 8, 16, 16, 8);
    assertThat(recorder.steps)
        .extracting(TrainingObserver.Step::step)
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L);
    assertThat(recorder.epochs)
        .extracting(TrainingObserver.Epoch::images)
        .containsExactly(40L, 40L);
    assertThat(recorder.sheets).allSatisfy(sheet -> assertThat(sheet).hasSize(25));
    assertThat(last.epoch()).isEqualTo(2);
    assertThat(last.step()).isEqualTo(6);
    assertThat(recorder.steps)
        .allSatisfy(
            step -> {
              assertThat(step.figures().discriminatorLoss()).isPositive();
              assertThat(step.figures().generatorLoss()).isPositive();
              assertThat(step.figures().realScore()).isBetween(0f, 1f);
              assertThat(step.figures().fakeScore()).isBetween(0f, 1f);
            });
  }

  @Test
  void run_whenAskedToStop_endsAfterTheStep() throws IOException {
    Recorder recorder = new Recorder();
    recorder.stopAfter = 2;

    Checkpoint last = train(hyperparameters(5, 3), recorder);

    assertThat(recorder.steps).hasSize(2);
    assertThat(last.epoch()).isZero();
    assertThat(last.step()).isEqualTo(2);
  }

  @Test
  void run_whenTheRateIsAbsurd_stopsWithWhatBecameNonFinite() {
    assertThatThrownBy(
            () -> train(new Hyperparameters(20, 16, 1e30f, 0.5f, 0.999f, 1), new Recorder()))
        .isInstanceOf(NonFiniteException.class)
        .hasMessageContaining("not finite at epoch")
        .hasMessageContaining("--learning-rate");
  }

  @Test
  void constructor_whenPicturesAreTooFewForABatch_saysWhatToDo() {
    assertThatThrownBy(
            () ->
                new TrainingLoop(
                    NARROW,
                    new Hyperparameters(1, 64, 2e-4f, 0.5f, 0.999f, 1),
                    new Ramps(40, new ImageShape(28, 28, 1)),
                    new Recorder()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("40 pictures")
        .hasMessageContaining("--batch-size");
  }

  @Test
  void constructor_whenPicturesAreOfAnotherShape_saysBoth() {
    assertThatThrownBy(
            () ->
                new TrainingLoop(
                    NARROW,
                    hyperparameters(1, 1),
                    new Ramps(40, new ImageShape(32, 32, 3)),
                    new Recorder()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("32x32x3")
        .hasMessageContaining("28x28x1");
  }

  private static Hyperparameters hyperparameters(int epochs, long seed) {
    return new Hyperparameters(epochs, 16, 2e-4f, 0.5f, 0.999f, seed);
  }

  private static Checkpoint train(Hyperparameters hyperparameters, Recorder recorder)
      throws IOException {
    return new TrainingLoop(
            NARROW, hyperparameters, new Ramps(40, new ImageShape(28, 28, 1)), recorder)
        .run(TrainingDevice.select("cpu"));
  }

  /** Pictures that differ: ramps from another corner each. */
  private record Ramps(int size, ImageShape shape) implements ImageDataset {

    @Override
    public String name() {
      return "ramps";
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) {
      for (int i = 0; i < shape.values(); i++) {
        target[offset + i] = (byte) (index * 37 + i % shape.width() * 9);
      }
    }
  }

  private static final class Recorder implements TrainingObserver {

    final List<Step> steps = new ArrayList<>();
    final List<Epoch> epochs = new ArrayList<>();
    final List<List<byte[]>> sheets = new ArrayList<>();
    int stopAfter = Integer.MAX_VALUE;

    @Override
    public void onStep(Step step) {
      steps.add(step);
    }

    @Override
    public void onEpoch(Epoch epoch, List<byte[]> samples, Checkpoint checkpoint) {
      epochs.add(epoch);
      sheets.add(samples);
    }

    @Override
    public boolean isStopRequested() {
      return steps.size() >= stopAfter;
    }
  }
}
