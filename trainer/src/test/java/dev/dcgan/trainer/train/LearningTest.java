package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.TestData;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.data.source.IdxDataset;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The article's networks, at full width, for their first steps on images. */
class LearningTest {

  private static final int STEPS = 800;
  private static final float LEARNT = 0.03f;
  private static final int BATCH = 16;
  private static final int WINDOW = 20;

  @Test
  void mnist28_onDrawnDigits_learns() throws IOException {
    assertLearns(new DigitsDataset(STEPS * BATCH, 1));
  }

  @Test
  void mnist28_onTheRealMnist_learns() throws IOException {
    assertLearns(IdxDataset.open(TestData.mnist()));
  }

  /**
   * At first the discriminator knows nothing: its loss is ln 2 = 0.693, and it scores images and
   * fakes alike. Then it tells them apart, if both networks' gradients lead anywhere.
   */
  private static void assertLearns(ImageDataset data) throws IOException {
    Recorder recorder = new Recorder();
    new TrainingLoop(
            Architecture.mnist28(64, 128),
            new Hyperparameters(1, BATCH, 2e-3f, 0.5f, 0.999f, 1),
            data,
            recorder)
        .run(TrainingDevice.select("cpu"), null);

    assertThat(recorder.meanLoss(0)).isBetween(0.65f, 0.75f);
    assertThat(recorder.meanGap(0)).isBetween(-0.02f, 0.02f);
    // The two chase each other, so the gap comes and goes, on each kind of processor at other
    // steps:
    // that it opens is what tells.
    assertThat(recorder.lastGap()).isGreaterThan(LEARNT);
  }

  /** Stops where the gap has opened, at the latest after {@link #STEPS}. */
  private static final class Recorder implements TrainingListener {

    final List<Step> steps = new ArrayList<>();

    float meanLoss(int from) {
      float sum = 0;
      for (Step step : steps.subList(from, from + WINDOW)) {
        sum += step.metrics().discriminatorLoss();
      }
      return sum / WINDOW;
    }

    /** Over the last {@link #WINDOW} steps; 0 before there are as many again. */
    float lastGap() {
      return steps.size() < 2 * WINDOW ? 0 : meanGap(steps.size() - WINDOW);
    }

    /** D(x) - D(G(z)). */
    float meanGap(int from) {
      float sum = 0;
      for (Step step : steps.subList(from, from + WINDOW)) {
        sum += step.metrics().realScore() - step.metrics().fakeScore();
      }
      return sum / WINDOW;
    }

    @Override
    public Next onStep(Step step) {
      steps.add(step);
      return steps.size() >= STEPS || lastGap() > LEARNT ? Next.STOP : Next.CONTINUE;
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
