package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.train.TrainingListener.Next;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class EpochMetricsTest {

  @Test
  void add_readsNoMetricsBeforeEnoughStepsAreThere() throws NonFiniteException {
    Steps listener = new Steps();
    try (NDManager manager = NDManager.newBaseManager(Device.cpu());
        EpochMetrics report = new EpochMetrics(1, 3, listener)) {
      NDArray first = metrics(manager, 1);
      assertThat(report.add(new StepMetrics(1, 8, first))).isEqualTo(Next.CONTINUE);
      assertThat(report.add(new StepMetrics(2, 8, metrics(manager, 2)))).isEqualTo(Next.CONTINUE);
      assertThat(listener.steps).isEmpty();

      assertThat(report.add(new StepMetrics(3, 8, metrics(manager, 3)))).isEqualTo(Next.STOP);

      assertThat(listener.steps).extracting(Step::step).containsExactly(1L, 2L, 3L);
      assertThat(listener.steps)
          .extracting(step -> step.metrics().generatorGradientNorm())
          .containsExactly(6f, 7f, 8f);
      assertThat(manager.getManagedArrays()).isEmpty();
    }
  }

  /** Six metrics from {@code first} on. */
  private static NDArray metrics(NDManager manager, int first) {
    return manager.arange((float) first, first + 6, 1);
  }

  private static final class Steps implements TrainingListener {

    final List<Step> steps = new ArrayList<>();

    @Override
    public Next onStep(Step step) {
      steps.add(step);
      return step.step() == 2 ? Next.STOP : Next.CONTINUE;
    }

    @Override
    public void onEpoch(Epoch epoch) {}

    @Override
    public Next atEpochEnd(int epoch, Snapshot snapshot) {
      return Next.CONTINUE;
    }

    @Override
    public void onCheckpoint(Checkpoint checkpoint) {}
  }
}
