package dev.dcgan.trainer.train;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import java.io.IOException;
import java.util.List;

/** Receives the progress of training on the training thread, and may stop it. */
public interface TrainingListener {

  /**
   * Metrics of one step, or their means over an epoch.
   *
   * @param discriminatorLoss (fake + real) / 2, nats
   * @param generatorLoss nats
   * @param realScore D(x), mean probability, [0, 1]
   * @param fakeScore D(G(z)) before the generator's update, mean probability, [0, 1]
   * @param discriminatorGradientNorm the Euclidean norm of the discriminator's gradient
   * @param generatorGradientNorm the Euclidean norm of the generator's gradient
   */
  record Metrics(
      float discriminatorLoss,
      float generatorLoss,
      float realScore,
      float fakeScore,
      float discriminatorGradientNorm,
      float generatorGradientNorm) {}

  /**
   * A finished step.
   *
   * @param epoch from 1
   * @param step over all epochs, from 1
   * @param images the number of real images in the step's batches
   */
  record Step(int epoch, long step, int images, double seconds, Metrics metrics) {}

  /**
   * A finished epoch; the metrics are the means over its steps, after a resume within the epoch
   * over the steps since then.
   */
  record Epoch(int epoch, long step, long images, double seconds, Metrics metrics) {

    public double imagesPerSecond() {
      return images / seconds;
    }
  }

  /** A listener's request after a step or an epoch; each value includes the previous ones. */
  enum Next {
    CONTINUE,
    /** Pass a checkpoint to {@link #onCheckpoint}, and continue. */
    CHECKPOINT,
    /** Pass a checkpoint to {@link #onCheckpoint}, and stop. */
    STOP
  }

  /** The current networks; valid during the call that it is passed to. */
  interface Snapshot {

    /**
     * A checkpoint of the current state, whose tensors are read from the device on access.
     *
     * @throws NonFiniteException if a weight is NaN or infinite: such a state is of no use
     */
    Checkpoint checkpoint() throws NonFiniteException;

    /**
     * Generates images in evaluation mode, with the EMA weights if there are any.
     *
     * @param latents (n, latentSize), row-major
     * @param labels (n), each the label of a class or a mixture of two; empty without classes
     * @return uint8 (n, height, width, channels)
     */
    byte[] pixels(float[] latents, long[] labels, int n);

    /** The images of the sample grid, from the same latents in every epoch; uint8 HWC each. */
    List<byte[]> sampleImages();

    /**
     * The labels of {@link #sampleImages}, a row of the grid for each class, or for some of them in
     * equal steps if there are many; empty without classes.
     */
    int[] sampleLabels();
  }

  /** Called once before the first step of a run that does not resume. */
  default void atStart(Snapshot snapshot) throws IOException {}

  /** Called for each step; on a GPU several steps are reported at once. */
  Next onStep(Step step);

  /** Called with an epoch's metrics, before {@link #atEpochEnd}. */
  void onEpoch(Epoch epoch);

  /**
   * Called when {@code epoch} epochs are finished. It is called again when training resumes from a
   * checkpoint at an epoch's end, because the first call may have been interrupted.
   */
  Next atEpochEnd(int epoch, Snapshot snapshot) throws IOException;

  /**
   * Called with a requested checkpoint, taken at the end of a step; all its values are finite. Its
   * tensors are readable during the call.
   */
  void onCheckpoint(Checkpoint checkpoint) throws IOException;
}
