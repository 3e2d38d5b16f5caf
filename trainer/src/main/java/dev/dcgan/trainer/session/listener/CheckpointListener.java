package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes the checkpoints. */
final class CheckpointListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(CheckpointListener.class);

  private final SessionContext context;
  private final RunWriter writer;
  private final BestEffort bestEffort;

  // Mutable state
  private boolean isSaved = true; // Whether the last one could be written.

  CheckpointListener(SessionContext context, RunWriter writer, BestEffort bestEffort) {
    this.context = context;
    this.writer = writer;
    this.bestEffort = bestEffort;
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) {
    EpochEnd saved = end.withFile(save(end.checkpoint()));
    return saved.file().isPresent() ? saved : saved.incomplete();
  }

  @Override
  public void onCheckpoint(Checkpoint checkpoint) {
    var unused = save(checkpoint);
  }

  /** Another attempt trains the last epoch again, from the checkpoint before. */
  @Override
  public void onTrained() throws IOException {
    if (!isSaved) {
      throw new IOException(
          "cannot write the last checkpoint in %s; make room".formatted(context.record().folder()));
    }
    List<Path> kept = context.checkpoints().files();
    log.info(
        "trained to step {}; kept {}",
        writer.run().getProgress().getStep(),
        kept.isEmpty() ? "no checkpoint" : kept.get(kept.size() - 1));
  }

  private Optional<Path> save(Checkpoint checkpoint) {
    long start = System.nanoTime();
    List<Path> saved = new ArrayList<>(1);
    boolean written =
        bestEffort.attempt("checkpoint", () -> saved.add(context.checkpoints().save(checkpoint)));
    double seconds = (System.nanoTime() - start) / 1e9;
    isSaved = written;
    if (!written) {
      return Optional.empty();
    }
    Path file = saved.get(0);
    context.metrics().checkpointKept(seconds);
    writer.event(
        RunEvent.newBuilder()
            .setCheckpointSaved(
                RunEvent.CheckpointSaved.newBuilder()
                    .setStep(checkpoint.step())
                    .setFile(file.getFileName().toString())
                    .setSeconds(seconds)));
    writer.update(
        run -> {
          // After a death of the process the end of an epoch is repeated, which is no progress.
          if (checkpoint.step() > context.firstStep()) {
            run.clearAttempts();
          }
        });
    return Optional.of(file);
  }
}
