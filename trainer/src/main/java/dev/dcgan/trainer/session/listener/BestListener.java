package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.v1.Run;
import java.nio.file.Path;

/** Keeps the checkpoint with the lowest Fréchet distance. */
final class BestListener implements SessionListener {

  private final SessionContext context;
  private final RunWriter writer;
  private final BestEffort bestEffort;

  BestListener(SessionContext context, RunWriter writer, BestEffort bestEffort) {
    this.context = context;
    this.writer = writer;
    this.bestEffort = bestEffort;
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) {
    if (end.quality().isEmpty()) {
      return end;
    }
    Run run = writer.run();
    double distance = end.quality().get().generated().frechetDistance();
    // If an epoch's end is repeated, its checkpoint may be the best already.
    boolean repeated =
        end.file().isPresent() && name(end.file().get()).equals(run.getBestCheckpoint());
    if (!run.getBestCheckpoint().isEmpty()
        && distance >= run.getBestFrechetDistance()
        && !repeated) {
      return end;
    }
    if (end.file().isPresent()) {
      Path file = end.file().get();
      bestEffort.attempt("best_checkpoint", () -> context.checkpoints().keepAsBest(file));
      writer.update(
          changed -> changed.setBestCheckpoint(name(file)).setBestFrechetDistance(distance));
    }
    return end.best();
  }

  private static String name(Path file) {
    return file.getFileName().toString();
  }
}
