package dev.dcgan.trainer.session;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.ImageClass;
import dev.dcgan.v1.TrainingOrigin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The checkpoint that a new run takes its weights from, {@code --init-from}. */
public final class InitialWeights {

  private static final Logger log = LoggerFactory.getLogger(InitialWeights.class);

  private InitialWeights() {}

  /**
   * Finds the checkpoint that a user names, and checks it.
   *
   * @param given a checkpoint file, the id of a run, or a published model, {@code name} or {@code
   *     name/version}
   * @throws IOException there is none of that name, it is damaged, of another architecture, or not
   *     conditional as the config is
   */
  public static Path find(
      String given, RunStore runs, ModelRepository models, TrainingConfig config)
      throws IOException {
    Path file = Files.isRegularFile(Path.of(given)) ? Path.of(given) : ofRun(given, runs, models);
    Checkpoint read = CheckpointFile.read(file);
    require(given, config, read.architecture(), read.dataset().classes() != null);
    return file;
  }

  /**
   * Requires that a conditional run has the classes of the weights that it starts from.
   *
   * @param file of the weights; null: it starts from random weights
   * @throws IOException the classes differ; the message has both
   */
  public static void requireClasses(
      @Nullable Path file, TrainingConfig config, ImageDataset training) throws IOException {
    if (file != null && config.isConditional()) {
      requireClasses(name(file), CheckpointFile.read(file), ImageLabels.of(training).classes());
    }
  }

  private static void requireClasses(String given, Checkpoint from, ImageClasses classes)
      throws IOException {
    ImageClasses found = from.dataset().classes();
    if (found == null || !names(found).equals(names(classes))) {
      throw new FinalFailureException(
          "cannot start from --init-from %s: its classes are %s; expected those of the images, %s"
              .formatted(given, found == null ? "none" : found, classes));
    }
  }

  private static List<String> names(ImageClasses classes) {
    return classes.toProto().stream().map(ImageClass::getName).toList();
  }

  /** The name of a checkpoint in records: {@code <run>/<file>}, or the file's name. */
  public static String name(Path file) {
    return RunDirectory.of(file).map(run -> run.id() + "/").orElse("") + file.getFileName();
  }

  /** The newest checkpoint of a run. */
  public static Path newest(RunDirectory run) throws IOException {
    List<Path> files = run.keptCheckpoints(run.read()).files();
    if (files.isEmpty()) {
      throw new IOException("run %s has no checkpoint".formatted(run.id()));
    }
    return files.get(files.size() - 1);
  }

  /**
   * Requires that a new run has the architecture of an earlier one.
   *
   * @throws IOException it differs; the message names every field
   */
  public static void require(String given, TrainingConfig config, TrainingConfig earlier)
      throws IOException {
    require(given, config, earlier.architecture(), earlier.isConditional());
  }

  private static void require(
      String given, TrainingConfig config, Architecture found, boolean foundClasses)
      throws IOException {
    Architecture architecture = config.architecture();
    List<String> differences = new ArrayList<>();
    compare("architecture", found.name(), architecture.name(), differences);
    compare("channels", found.shape().channels(), architecture.shape().channels(), differences);
    compare("latent", found.latentSize(), architecture.latentSize(), differences);
    compare("width", found.width(), architecture.width(), differences);
    compare("conditional", foundClasses, config.isConditional(), differences);
    if (!differences.isEmpty()) {
      throw new IOException(
          "cannot start from --init-from %s: it has %s"
              .formatted(given, String.join(", ", differences)));
    }
  }

  private static void compare(String field, Object found, Object wanted, List<String> differences) {
    if (!found.equals(wanted)) {
      differences.add("%s %s; expected %s".formatted(field, found, wanted));
    }
  }

  /** The weights that a run keeps for its first step; null: it starts from random weights. */
  static @Nullable Checkpoint of(RunRecord record, TrainingConfig config, ImageDataset training)
      throws IOException {
    String name = record.run().getInitializedFrom();
    if (name.isEmpty()) {
      return null;
    }
    Checkpoint initial = CheckpointFile.read(record.folder().initialWeights());
    require(name, config, initial.architecture(), initial.dataset().classes() != null);
    if (config.isConditional()) {
      requireClasses(name, initial, ImageLabels.of(training).classes());
    }
    log.info(
        "starting from the weights of {}: epoch={} step={}; the optimizers are fresh",
        name,
        initial.epoch(),
        initial.step());
    return initial;
  }

  private static Path ofRun(String given, RunStore runs, ModelRepository models)
      throws IOException {
    Optional<RunDirectory> run = runs.find(given);
    if (run.isPresent()) {
      return newest(run.get());
    }
    String[] parts = given.split("/", 2);
    if (!ModelRepository.isName(parts[0])) {
      throw unknown(given);
    }
    List<Long> versions = models.versions(parts[0]);
    List<Long> wanted =
        parts.length == 1
            ? versions.stream().limit(1).toList()
            : versions.stream().filter(v -> Long.toString(v).equals(parts[1])).toList();
    if (wanted.isEmpty()) {
      throw unknown(given);
    }
    TrainingOrigin origin = models.describe(parts[0], wanted.get(0)).manifest().getOrigin();
    RunDirectory trained =
        runs.find(origin.getRunId())
            .orElseThrow(
                () ->
                    new IOException(
                        "cannot start from --init-from %s: its run %s is not in --runs; expected the run, because a model has one network only"
                            .formatted(given, origin.getRunId())));
    return ofEpoch(trained, origin.getEpochs());
  }

  /** The checkpoint that was published, if it is still kept, else the newest. */
  private static Path ofEpoch(RunDirectory run, int epoch) throws IOException {
    for (Path file : run.keptCheckpoints(run.read()).files()) {
      if (CheckpointFile.read(file).epoch() == epoch) {
        return file;
      }
    }
    log.warn("run {} keeps no checkpoint of epoch {}: its newest is taken", run.id(), epoch);
    return newest(run);
  }

  private static IOException unknown(String given) {
    return new IOException(
        "cannot start from --init-from %s: not found; expected a checkpoint file, a run in --runs, or a model in --repository"
            .formatted(given));
  }
}
