package dev.dcgan.trainer.train;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import java.io.IOException;
import java.util.List;

/** Hears how training goes, on the training thread, and may end it. */
public interface TrainingListener {

  /**
   * Figures of one step, or their means over an epoch.
   *
   * @param discriminatorLoss (fake + real) / 2, natural units
   * @param generatorLoss natural units
   * @param realScore D(x), mean probability in [0, 1]
   * @param fakeScore D(G(z)) before the generator's update, mean probability in [0, 1]
   * @param discriminatorGradient the Euclidean norm of the loss's gradient
   * @param generatorGradient the Euclidean norm of the loss's gradient
   */
  record Figures(
      float discriminatorLoss,
      float generatorLoss,
      float realScore,
      float fakeScore,
      float discriminatorGradient,
      float generatorGradient) {}

  /**
   * One step done.
   *
   * @param epoch from 1
   * @param step over all epochs, from 1
   * @param images real ones in the step's batches
   */
  record Step(int epoch, long step, int images, double seconds, Figures figures) {}

  /**
   * One epoch done; figures are the means over its steps, since training was carried on where that
   * was in this epoch.
   */
  record Epoch(int epoch, long step, long images, double seconds, Figures figures) {

    public double imagesPerSecond() {
      return images / seconds;
    }
  }

  /** What to do after a step or an epoch; the later ones include the earlier. */
  enum Next {
    CONTINUE,
    /** Hand over a checkpoint, and continue. */
    CHECKPOINT,
    /** Hand over a checkpoint, and end. */
    STOP
  }

  /** The networks now, for as long as the call that hands it over lasts. */
  interface Snapshot {

    /**
     * Everything that carries on from here needs, read from the device when it is needed.
     *
     * @throws NonFiniteException a weight is NaN or infinite: no state to go back to
     */
    Checkpoint checkpoint() throws NonFiniteException;

    /**
     * Images of the published generator's: its weights and running statistics, or their averages
     * where there are any.
     *
     * @param latents (n, latentSize), row-major
     * @return uint8 (n, height, width, channels)
     */
    byte[] pixels(float[] latents, int n);

    /** {@link #pixels} of the sheet's latents: the same in every epoch; uint8 HWC each. */
    List<byte[]> sheet();
  }

  /** A step is done; steps may come to be known a few at a time. */
  Next onStep(Step step);

  /** An epoch's figures; {@link #atEpochEnd} follows. */
  void onEpoch(Epoch epoch);

  /**
   * {@code epoch} epochs are done. Called again when training carries on from a checkpoint at an
   * epoch's end: the call before may have been cut short.
   */
  Next atEpochEnd(int epoch, Snapshot snapshot) throws IOException;

  /**
   * A checkpoint that was asked for: every value finite, at the end of a step. Its tensors can be
   * read for as long as the call lasts.
   */
  void onCheckpoint(Checkpoint checkpoint) throws IOException;
}
