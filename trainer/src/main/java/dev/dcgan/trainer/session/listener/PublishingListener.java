package dev.dcgan.trainer.session.listener;

import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.PublishPolicy;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Publishes the generator as the config says; a failure ends the run only after its last epoch. */
final class PublishingListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(PublishingListener.class);

  private final SessionContext context;
  private final RunWriter writer;

  // Mutable state
  private @Nullable IOException failure; // Of the latest attempt.

  PublishingListener(SessionContext context, RunWriter writer) {
    this.context = context;
    this.writer = writer;
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) {
    boolean publishesBest =
        end.isBest() && context.config().publish().kind() == PublishPolicy.Kind.BEST;
    if (!publishesBest && !context.config().publishesAfter(end.epoch())) {
      return end;
    }
    publish(end.checkpoint());
    if (failure == null) {
      return end;
    }
    if (publishesBest && end.file().isPresent()) {
      writer.update(run -> run.setBestUnpublished(true));
    }
    return end.incomplete();
  }

  @Override
  public void onTrained() throws IOException {
    if (writer.run().getBestUnpublished()) {
      publishBest();
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Publishes the best checkpoint whose epoch could not publish it: that end is not repeated. */
  private void publishBest() throws IOException {
    String best = writer.run().getBestCheckpoint();
    for (Path file : context.checkpoints().files()) {
      if (file.getFileName().toString().equals(best)) {
        publish(CheckpointFile.read(file));
      }
    }
  }

  private void publish(Checkpoint checkpoint) {
    try {
      context.publisher().publish(writer, checkpoint);
      failure = null;
      if (writer.run().getBestUnpublished()) {
        writer.update(Run.Builder::clearBestUnpublished);
      }
    } catch (IOException e) {
      String message =
          "cannot publish epoch %d: %s".formatted(checkpoint.epoch(), ErrorMessages.oneLine(e));
      log.error(message);
      // A full disk's message says nothing else.
      failure = e.getClass() == IOException.class ? new IOException(message, e) : e;
    }
  }
}
