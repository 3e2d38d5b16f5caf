package dev.dcgan.trainer.publish;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes checkpoints, for {@code train}, {@code export} and {@code PublishModel} alike: the
 * export is checked against the network, the manifest has the checkpoint's quality metrics, and the
 * run records the version. For one thread at a time.
 */
public final class CheckpointPublisher {

  /** Exports, checks and publishes a checkpoint's generator. */
  @FunctionalInterface
  public interface Target {

    /**
     * Publishes the generator as the next version of the model, or finds the version that this run
     * has published with the same bytes.
     *
     * @param run the run of the checkpoint; its id is empty if none is known
     * @param reuse which earlier versions count
     * @throws IOException nothing was published
     */
    ModelVersion publish(Checkpoint checkpoint, String model, Run run, Reuse reuse)
        throws IOException;
  }

  /** Which earlier version of the same run and bytes is reused instead of a new one. */
  public enum Reuse {
    /** Any version: a training run may come to the same point twice. */
    ANY,
    /** The newest version only: a request for an older generator makes it the newest again. */
    NEWEST
  }

  private static final Logger log = LoggerFactory.getLogger(CheckpointPublisher.class);

  private final Target target;
  private final Runnable onPublished;

  /**
   * Publishes into a repository.
   *
   * @param onPublished called for each version that a run has recorded, to count it
   */
  public CheckpointPublisher(ModelRepository repository, Runnable onPublished) {
    this(new ModelPublisher(repository)::publish, onPublished);
  }

  public CheckpointPublisher(Target target, Runnable onPublished) {
    this.target = target;
    this.onPublished = onPublished;
  }

  /**
   * Publishes a checkpoint of a training run under the run's model name, once.
   *
   * @throws IOException nothing was published
   */
  public void publish(RunWriter run, Checkpoint checkpoint) throws IOException {
    String model = run.run().getConfig().getModel();
    record(run, checkpoint.epoch(), target.publish(checkpoint, model, run.run(), Reuse.ANY));
  }

  /**
   * Publishes a kept checkpoint of a run that is locked by this process.
   *
   * @param name the checkpoint's file; empty: the newest
   * @param requestedModel the name to publish under; empty: the run's own
   */
  public ModelVersion publish(RunRecord record, String name, String requestedModel)
      throws RequestException, InvalidConfigException, IOException {
    if (!requestedModel.isEmpty() && !ModelRepository.isName(requestedModel)) {
      throw new InvalidConfigException(
          List.of(
              new ConfigViolation(
                  "model",
                  "'%s': expected %s".formatted(requestedModel, ModelRepository.NAME_RULE))));
    }
    Run run = record.run();
    Path file = kept(record.folder(), run, name);
    try {
      return publish(file, requestedModel, run, Optional.of(record));
    } catch (NoSuchFileException e) {
      if (Files.exists(file)) {
        throw e;
      }
      // A training run removes its older checkpoints at any time, also while one is read.
      log.debug("{} was removed while it was read", file, e);
      throw new RequestException(
          Why.NOT_FOUND, "run %s no longer keeps %s".formatted(run.getId(), file.getFileName()));
    } catch (DamagedFileException e) {
      log.warn("{}", e.getMessage());
      throw new RequestException(
          Why.WRONG_STATE,
          "%s of run %s is damaged; publish another".formatted(file.getFileName(), run.getId()));
    }
  }

  /**
   * Publishes a checkpoint's file. If it lies in a run's directory that no other process has
   * locked, the run records the version.
   *
   * @param requestedModel the name to publish under; empty: the run's, or the architecture's
   */
  public ModelVersion publish(Path file, String requestedModel) throws IOException {
    Optional<RunDirectory> directory = RunDirectory.of(file);
    if (directory.isEmpty()) {
      return publish(file, requestedModel, Run.getDefaultInstance(), Optional.empty());
    }
    Run run = directory.get().read();
    Optional<RunRecords.Hold> hold = lock(directory.get());
    try {
      return publish(file, requestedModel, run, hold.map(RunRecords.Hold::record));
    } finally {
      hold.ifPresent(RunRecords.Hold::close);
    }
  }

  private ModelVersion publish(
      Path file, String requestedModel, Run run, Optional<RunRecord> record) throws IOException {
    try {
      return publishFile(file, requestedModel, run, record);
    } catch (DamagedFileException e) {
      // A training run may have replaced the file meanwhile, to add the quality metrics.
      log.debug("reading {} again", file, e);
      return publishFile(file, requestedModel, run, record);
    }
  }

  private ModelVersion publishFile(
      Path file, String requestedModel, Run run, Optional<RunRecord> record) throws IOException {
    Checkpoint checkpoint = CheckpointFile.read(file);
    String model = requestedModel.isEmpty() ? run.getConfig().getModel() : requestedModel;
    ModelVersion version =
        target.publish(
            checkpoint,
            model.isEmpty() ? checkpoint.architecture().name() : model,
            run,
            Reuse.NEWEST);
    record.ifPresent(
        of -> record(new RunWriter(of, new BestEffort(what -> {})), checkpoint.epoch(), version));
    return version;
  }

  /** The kept file of that name, or the newest. */
  private static Path kept(RunDirectory directory, Run run, String name)
      throws RequestException, IOException {
    List<Path> files = directory.keptCheckpoints(run).files();
    if (files.isEmpty()) {
      throw new RequestException(
          Why.WRONG_STATE, "run %s has no checkpoint yet".formatted(directory.id()));
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
        Why.NOT_FOUND, "run %s keeps no checkpoint '%s'".formatted(directory.id(), name));
  }

  /** Locks the run of an exported checkpoint; empty if it cannot record the version. */
  private static Optional<RunRecords.Hold> lock(RunDirectory directory) {
    try {
      Optional<RunRecords.Hold> hold = new RunRecords(InstantSource.system()).lock(directory);
      if (hold.isEmpty()) {
        log.info(
            "run {} is locked by another process; it will not record this version", directory.id());
      }
      return hold;
    } catch (IOException e) {
      // A folder that is mounted read-only, for example.
      log.info("run {} cannot record this version: {}", directory.id(), ErrorMessages.oneLine(e));
      return Optional.empty();
    }
  }

  /** Records a version in run.json and as an event, once. It stays published if that fails. */
  private void record(RunWriter run, int epoch, ModelVersion version) {
    if (run.run().getPublishedList().contains(version)) {
      return;
    }
    onPublished.run();
    run.event(
        RunEvent.newBuilder()
            .setModelPublished(
                RunEvent.ModelPublished.newBuilder().setEpoch(epoch).setModel(version)));
    run.update(changed -> changed.addPublished(version));
  }
}
