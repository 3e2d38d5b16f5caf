package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.train.TrainingListener;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.List;

/**
 * Everything that a session does beside training: its listeners, called in a fixed order on the
 * training thread. A write that fails, as on a full disk, is skipped, logged once and counted;
 * training continues.
 */
public final class SessionListeners implements TrainingListener, AutoCloseable {

  private final SessionContext context;
  private final RunWriter writer;
  private final List<SessionListener> listeners;

  // Mutable state
  private boolean trained;

  public SessionListeners(SessionContext context) {
    this.context = context;
    BestEffort bestEffort = new BestEffort(context.metrics()::writeFailed);
    writer = new RunWriter(context.record(), bestEffort);
    ProgressEstimator progress =
        new ProgressEstimator(
            context.firstStep(), (long) context.epochs() * context.stepsPerEpoch());
    TensorBoardListener board =
        new TensorBoardListener(context.record().folder().board(), context.firstStep(), bestEffort);
    // Metrics, console, events and TensorBoard come first, because they only report: what they say
    // of an epoch precedes what is done at its end. The checkpoint is next, so that no later
    // failure costs the epoch. The sample grid needs neither quality nor checkpoint and is there
    // even if the evaluation, which takes longest, is interrupted. The monitor judges diversity and
    // quality. The best checkpoint is chosen before publishing, which may depend on it.
    listeners =
        List.of(
            new MetricsListener(context.metrics(), progress),
            new ConsoleListener(
                context.epochs(), context.stepsPerEpoch(), progress, context.terminal()),
            new EventListener(writer, context.stepsPerEpoch(), progress),
            board,
            new CheckpointListener(context, writer, bestEffort),
            new SampleListener(context, writer, bestEffort, board),
            new EvaluationListener(context, writer, bestEffort, board),
            new MonitorListener(context, writer),
            new BestListener(context, writer, bestEffort),
            new PublishingListener(context, writer),
            new TracingListener(context));
  }

  /** The run is continued from a checkpoint. */
  public void onResume(CheckpointStore.Kept from) {
    listeners.forEach(listener -> listener.onResume(from));
  }

  @Override
  public void atStart(Snapshot snapshot) throws IOException {
    for (SessionListener listener : listeners) {
      listener.onStart(snapshot);
    }
  }

  @Override
  public Next onStep(Step step) {
    listeners.forEach(listener -> listener.onStep(step));
    if (isStopRequested()) {
      return Next.STOP;
    }
    int every = context.config().config().getCheckpointEvery();
    return every > 0 && step.step() % every == 0 ? Next.CHECKPOINT : Next.CONTINUE;
  }

  @Override
  public void onEpoch(Epoch epoch) {
    listeners.forEach(listener -> listener.onEpoch(epoch));
  }

  @Override
  public Next atEpochEnd(int epoch, Snapshot snapshot) throws IOException {
    if (epoch > writer.run().getEpochsCompleted()) {
      EpochEnd end = new EpochEnd(epoch, snapshot, snapshot.checkpoint());
      try {
        for (SessionListener listener : listeners) {
          end = listener.onEpochEnd(end);
        }
      } catch (InterruptedIOException e) {
        return Next.STOP; // The epoch is not completed: its end is repeated.
      }
      // A last epoch that could not be published is repeated when the run is started again.
      if (end.isComplete() || epoch < context.epochs()) {
        writer.update(run -> run.setEpochsCompleted(epoch));
      }
    }
    trained = epoch == context.epochs();
    return isStopRequested() ? Next.STOP : Next.CONTINUE;
  }

  @Override
  public void onCheckpoint(Checkpoint checkpoint) {
    listeners.forEach(listener -> listener.onCheckpoint(checkpoint));
  }

  /**
   * Ends the session after the training loop.
   *
   * @return whether the run was trained to its end; otherwise a stop was requested
   * @throws IOException the last model, or the best, could not be published
   */
  public boolean finish() throws IOException {
    if (!trained) {
      return false;
    }
    for (SessionListener listener : listeners) {
      listener.onTrained();
    }
    writer.update(run -> run.setEpochsCompleted(context.epochs()));
    return true;
  }

  private boolean isStopRequested() {
    return context.stop().requested() != StopSignal.Request.NONE;
  }

  @Override
  public void close() {
    listeners.forEach(SessionListener::close);
  }
}
