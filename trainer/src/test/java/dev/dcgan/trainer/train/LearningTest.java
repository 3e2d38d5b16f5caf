package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.data.DigitsDataset;
import dev.dcgan.trainer.data.IdxDataset;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.TestData;
import dev.dcgan.trainer.net.Architecture;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The article's networks, at full width, for their first steps on pictures. */
class LearningTest {

  private static final int STEPS = 40;
  private static final int BATCH = 32;

  @Test
  void mnist28_onDrawnDigits_learns() throws IOException {
    assertLearns(new DigitsDataset(STEPS * BATCH, 1));
  }

  @Test
  void mnist28_onTheRealMnist_learns() throws IOException {
    assertLearns(IdxDataset.open(TestData.mnist()));
  }

  /**
   * At first the discriminator knows nothing: both losses are ln 2 = 0.693. Then it tells fakes
   * from pictures.
   */
  private static void assertLearns(ImageDataset data) throws IOException {
    Recorder recorder = new Recorder();
    new TrainingLoop(
            Architecture.mnist28(64, 128),
            new Hyperparameters(1, BATCH, 1e-3f, 0.5f, 0.999f, 1),
            data,
            recorder)
        .run(TrainingDevice.select("cpu"));

    assertThat(recorder.steps).hasSize(STEPS);
    TrainingObserver.Figures first = recorder.steps.get(0).figures();
    TrainingObserver.Figures last = recorder.steps.get(STEPS - 1).figures();
    assertThat(first.discriminatorLoss()).isBetween(0.6f, 0.8f);
    assertThat(last.discriminatorLoss()).isLessThan(0.5f);
    assertThat(last.realScore()).isGreaterThan(last.fakeScore() + 0.2f);
  }

  /** Stops after the first {@link #STEPS}. */
  private static final class Recorder implements TrainingObserver {

    final List<Step> steps = new ArrayList<>();

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
