package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.latent.Latents;
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
import java.util.stream.LongStream;
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

  /** Each image is nearest to the mean image of the class it was made for; by chance 0.1 are. */
  @Test
  void conditional_onDrawnDigits_showsTheClasses() throws IOException {
    DigitsDataset digits = new DigitsDataset(12_000, 1);
    Classes classes = new Classes(means(digits));

    new TrainingLoop(
            Architecture.mnist28Fast(64, 16).withClasses(10),
            new Hyperparameters(1, 32, 2e-3f, 1e-3f, 0.5f, 0.999f, 0, 0, 1, 1),
            digits,
            classes)
        .run(TrainingDevice.select("cpu"), null);

    assertThat(classes.accuracy).isGreaterThan(0.5);
  }

  /** The mean of the first 2,000 images of each class. */
  private static double[][] means(ImageDataset data) throws IOException {
    double[][] means = new double[data.classes()][data.shape().values()];
    byte[] pixels = new byte[data.shape().values()];
    for (int i = 0; i < 2_000; i++) {
      data.copyPixels(i, pixels, 0);
      for (int j = 0; j < pixels.length; j++) {
        means[data.label(i)][j] += (pixels[j] & 0xFF) / 200.0;
      }
    }
    return means;
  }

  /** Classifies generated images at the epoch's end. */
  private static final class Classes implements TrainingListener {

    private static final int IMAGES = 200;

    private final double[][] means;
    double accuracy;

    Classes(double[][] means) {
      this.means = means;
    }

    @Override
    public Next onStep(Step step) {
      return Next.CONTINUE;
    }

    @Override
    public void onEpoch(Epoch epoch) {}

    @Override
    public Next atEpochEnd(int epoch, Snapshot snapshot) {
      long[] labels = LongStream.range(0, IMAGES).map(i -> i % means.length).toArray();
      byte[] pixels = snapshot.pixels(Latents.of(5, 0, IMAGES * 64), labels, IMAGES);
      int size = pixels.length / IMAGES;
      int right = 0;
      for (int i = 0; i < IMAGES; i++) {
        right += nearest(pixels, i * size) == labels[i] ? 1 : 0;
      }
      accuracy = (double) right / IMAGES;
      return Next.CONTINUE;
    }

    @Override
    public void onCheckpoint(Checkpoint checkpoint) {}

    private int nearest(byte[] pixels, int offset) {
      int nearest = 0;
      double least = Double.MAX_VALUE;
      for (int label = 0; label < means.length; label++) {
        double distance = 0;
        for (int j = 0; j < means[label].length; j++) {
          double difference = (pixels[offset + j] & 0xFF) - means[label][j];
          distance += difference * difference;
        }
        if (distance < least) {
          least = distance;
          nearest = label;
        }
      }
      return nearest;
    }
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
