package dev.dcgan.trainer.train;

import java.io.IOException;
import java.util.List;

/** Hears how training goes, on the training thread, and may end it. */
public interface TrainingObserver {

  /**
   * Figures of one step, or their means over an epoch.
   *
   * @param discriminatorLoss (fake + real) / 2, natural units
   * @param generatorLoss natural units
   * @param realScore D(x), mean probability in [0, 1]
   * @param fakeScore D(G(z)) before the generator's update, mean probability in [0, 1]
   */
  record Figures(float discriminatorLoss, float generatorLoss, float realScore, float fakeScore) {}

  /**
   * One step done.
   *
   * @param epoch from 1
   * @param step over all epochs, from 1
   * @param images in the step's batch
   */
  record Step(int epoch, long step, int images, double seconds, Figures figures) {}

  /** One epoch done; figures are the means over its steps. */
  record Epoch(int epoch, long images, double seconds, Figures figures) {

    public double imagesPerSecond() {
      return images / seconds;
    }
  }

  void onStep(Step step);

  /**
   * An epoch is done.
   *
   * @param samples the fixed latents' images, uint8 HWC
   * @param checkpoint taken now, every value finite
   */
  void onEpoch(Epoch epoch, List<byte[]> samples, Checkpoint checkpoint) throws IOException;

  /** Asked after each step: true ends training there. */
  boolean isStopRequested();
}
