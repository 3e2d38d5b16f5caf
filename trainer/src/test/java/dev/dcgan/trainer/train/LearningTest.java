package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.data.DigitsDataset;
import dev.dcgan.trainer.data.IdxDataset;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.TestData;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.train.TrainingObserver.Figures;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The article's networks, at full width, for their first steps on pictures. */
class LearningTest {

  private static final int STEPS = 120;
  private static final int BATCH = 16;

  @Test
  void mnist28_onDrawnDigits_learns() throws IOException {
    assertLearns(new DigitsDataset(STEPS * BATCH, 1));
  }

  @Test
  void mnist28_onTheRealMnist_learns() throws IOException {
    assertLearns(IdxDataset.open(TestData.mnist()));
  }

  /**
   * At first the discriminator knows nothing: its loss is ln 2 = 0.693, and it scores pictures and
   * fakes alike. Then it tells them apart, if both networks' gradients lead anywhere.
   */
  private static void assertLearns(ImageDataset data) throws IOException {
    Recorder recorder = new Recorder();
    new TrainingLoop(
            Architecture.mnist28(64, 128),
            new Hyperparameters(1, BATCH, 2e-3f, 0.5f, 0.999f, 1),
            data,
            recorder)
        .run(TrainingDevice.select("cpu"));

    assertThat(recorder.steps).hasSize(STEPS);
    Figures first = recorder.means(0, 20);
    Figures last = recorder.means(STEPS - 20, STEPS);
    assertThat(first.discriminatorLoss()).isBetween(0.65f, 0.75f);
    assertThat(first.realScore() - first.fakeScore()).isBetween(-0.02f, 0.02f);
    assertThat(last.discriminatorLoss()).isLessThan(0.68f);
    assertThat(last.realScore() - last.fakeScore()).isGreaterThan(0.03f);
  }

  /** Stops after the first {@link #STEPS}. */
  private static final class Recorder implements TrainingObserver {

    final List<Step> steps = new ArrayList<>();

    Figures means(int from, int to) {
      float discriminatorLoss = 0;
      float realScore = 0;
      float fakeScore = 0;
      for (Step step : steps.subList(from, to)) {
        discriminatorLoss += step.figures().discriminatorLoss() / (to - from);
        realScore += step.figures().realScore() / (to - from);
        fakeScore += step.figures().fakeScore() / (to - from);
      }
      return new Figures(discriminatorLoss, Float.NaN, realScore, fakeScore);
    }

    @Override
    public void onStep(Step step) {
      steps.add(step);
    }

    @Override
    public void onEpoch(Epoch epoch, List<byte[]> samples, Checkpoint checkpoint) {}

    @Override
    public boolean isStopRequested() {
      return steps.size() >= STEPS;
    }
  }
}
