package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Snapshot;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.io.IOException;

/** One duty of a training session beside training. Called on the training thread. */
interface SessionListener extends AutoCloseable {

  /** The run is continued from a checkpoint. */
  default void onResume(CheckpointStore.Kept from) {}

  /** A new run begins, with the networks as they are before the first step. */
  default void onStart(Snapshot snapshot) throws IOException {}

  default void onStep(Step step) {}

  /** The means of an epoch; {@link #onEpochEnd} follows. */
  default void onEpoch(Epoch epoch) {}

  /**
   * An epoch is done.
   *
   * @param end what the listeners before have found
   * @return {@code end} with what this listener has found
   * @throws java.io.InterruptedIOException the session is to end now; the epoch's end is repeated
   *     when the run is continued
   */
  default EpochEnd onEpochEnd(EpochEnd end) throws IOException {
    return end;
  }

  /** A checkpoint between two epochs' ends. */
  default void onCheckpoint(Checkpoint checkpoint) {}

  /**
   * The last epoch is done.
   *
   * @throws IOException the run cannot end successfully
   */
  default void onTrained() throws IOException {}

  @Override
  default void close() {}
}
