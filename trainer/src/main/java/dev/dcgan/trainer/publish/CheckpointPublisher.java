package dev.dcgan.trainer.publish;

import dev.dcgan.trainer.config.InvalidConfigException;

import dev.dcgan.trainer.config.ConfigViolation;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Publishes kept checkpoints of runs that train, or have ended. For one thread at a time. */
public final class CheckpointPublisher {

  /** Publishes a checkpoint's generator as the next version of a model. */
  public interface Target {

    /**
     * Publishes.
     *
     * @param quality what was measured of the generator, by name
     * @throws IOException nothing was published
     */
    public ModelVersion publish(
        Checkpoint checkpoint, String model, String runId, Map<String, Double> quality)
        throws IOException;
  }

  private static final Logger log = LoggerFactory.getLogger("runs");
  private static final int EVENTS_AT_ONCE = 1000;

  private final Target target;

  public CheckpointPublisher(Target target) {
    this.target = target;
  }

  /**
   * Publishes, and notes it in the record.
   *
   * @param name the checkpoint's file; empty: the newest
   * @param asked the name to publish under; empty: the run's own
   */
  public ModelVersion publish(RunRecord record, String name, String asked)
      throws RequestException, InvalidConfigException, IOException {
    if (!asked.isEmpty() && !ModelRepository.isName(asked)) {
      throw new InvalidConfigException(
          List.of(
              new ConfigViolation(
                  "model", "'%s': expected %s".formatted(asked, ModelRepository.NAME_RULE))));
    }
    Run run = record.run();
    String model = asked.isEmpty() ? run.getConfig().getModel() : asked;
    Path file = kept(record.folder(), run, name);
    try {
      Checkpoint checkpoint = CheckpointFile.read(file);
      ModelVersion version =
          target.publish(checkpoint, model, run.getId(), quality(record, checkpoint.step()));
      note(record, checkpoint.epoch(), version);
      return version;
    } catch (IOException e) {
      if (e instanceof NoSuchFileException && Files.notExists(file)) {
        // A run that trains removes its older checkpoints at any time, also while one is read.
        log.debug("{} has made room for newer ones", file, e);
        throw new RequestException(
            Why.NOT_FOUND, "run %s no longer keeps %s".formatted(run.getId(), file.getFileName()));
      }
      if (e instanceof DamagedFileException) {
        log.warn("{}", e.getMessage());
        throw new RequestException(
            Why.WRONG_STATE,
            "%s of run %s is damaged; publish another".formatted(file.getFileName(), run.getId()));
      }
      throw e;
    }
  }

  /** The file of that name among the kept ones, or the newest. */
  private static Path kept(RunDirectory folder, Run run, String name)
      throws RequestException, IOException {
    List<Path> files = folder.keptCheckpoints(run).files();
    if (files.isEmpty()) {
      throw new RequestException(
          Why.WRONG_STATE, "run %s has no checkpoint yet".formatted(folder.id()));
    }
    if (name.isEmpty()) {
      return files.get(files.size() - 1);
    }
    for (Path file : files) {
      if (file.getFileName().toString().equals(name)) {
        return file;
      }
    }
    throw new RequestException(
        Why.NOT_FOUND, "run %s keeps no checkpoint '%s'".formatted(folder.id(), name));
  }

  /** What was measured at that step, as the run's events have it. */
  public static Map<String, Double> quality(RunRecord record, long step) throws IOException {
    Map<String, Double> quality = Map.of();
    long next = 0;
    for (List<RunEvent> events = record.events(next, EVENTS_AT_ONCE);
        !events.isEmpty();
        events = record.events(next, EVENTS_AT_ONCE)) {
      for (RunEvent event : events) {
        if (event.hasEvaluated() && event.getEvaluated().getStep() == step) {
          quality = event.getEvaluated().getQualityMap();
        }
      }
      next += events.size();
    }
    return quality;
  }

  /** Published is published, even where no note can be taken of it. */
  private static void note(RunRecord record, int epoch, ModelVersion version) {
    try {
      record.update(run -> run.addPublished(version));
      record.event(
          RunEvent.newBuilder()
              .setModelPublished(
                  RunEvent.ModelPublished.newBuilder().setEpoch(epoch).setModel(version)));
    } catch (IOException e) {
      log.error("{} does not know of {}", record.folder(), version, e);
    }
  }
}
