package dev.dcgan.trainer.cli;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Pixels;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.eval.Evaluator;
import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.trainer.onnx.PublishedOnnxGenerator;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.session.TrainingInputs;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.TrainedGenerator;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer evaluate}: quality metrics beside their real-vs-real baseline. */
@Command(
    name = "evaluate",
    description = {
      "Evaluates the generator of a checkpoint or of a published model against held-out images.",
      "A checkpoint in its run's folder is evaluated with the run's own images."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
public final class EvaluateCommand implements Settings.Command {

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      description = "A .safetensors file from a run's checkpoints folder.")
  private @Nullable Path checkpoint;

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "A published model instead of a checkpoint.")
  private @Nullable String model;

  @Option(
      names = "--model-version",
      paramLabel = "N",
      description = "Version of the published model. Default: the newest")
  private @Nullable Long version;

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      description = "Folder where the model was published.",
      defaultValue = "models")
  private Path repository = Path.of("models");

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Folder of the runs, which caches the classifier.",
      defaultValue = "runs")
  private Path runs = Path.of("runs");

  @Mixin private ConfigOptions data = ConfigOptions.ofData();

  @Override
  public void check(Validator problems) {
    problems.require(
        (checkpoint == null) != (model == null),
        "expected one of --checkpoint <file> and --model <name>");
    problems.require(
        checkpoint == null || Files.isRegularFile(checkpoint),
        "--checkpoint " + checkpoint + ": no such file");
    problems.requireMatches("--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    data.checkPaths(problems);
    problems.requireNoTelemetry("bin/trainer");
  }

  @Override
  public Integer call() throws IOException {
    return NativeFailureException.reporting(this::evaluate);
  }

  private int evaluate() throws IOException {
    TrainingDevice device = TrainingDevice.select("cpu");
    QualityReport report =
        checkpoint != null
            ? ofCheckpoint(checkpoint, device)
            : ofModel(Objects.requireNonNull(model, "checked"), device);
    System.out.println(report);
    String classes = report.classTable();
    if (!classes.isEmpty()) {
      System.out.println(classes);
    }
    report.warnings().forEach(warning -> System.out.println("warning: " + warning));
    return 0;
  }

  private QualityReport ofCheckpoint(Path file, TrainingDevice device) throws IOException {
    Checkpoint read = CheckpointFile.read(file);
    Optional<RunDirectory> run = RunDirectory.of(file);
    RunConfig config =
        run.isPresent() ? run.get().read().getConfig() : RunConfig.getDefaultInstance();
    ImageShape shape = read.architecture().shape();
    try (TrainedGenerator generator = new TrainedGenerator(read)) {
      return measure(
          config,
          shape,
          (z, labels, n) -> Pixels.of(generator.images(z, labels, n), shape),
          read.architecture().latentSize(),
          read.dataset().classes(),
          device);
    }
  }

  private QualityReport ofModel(String name, TrainingDevice device) throws IOException {
    ModelRepository models = new ModelRepository(repository);
    List<Long> versions = models.versions(name);
    if (versions.isEmpty()) {
      throw new IOException("%s has no model '%s'".formatted(repository, name));
    }
    ModelBundle bundle = models.open(name, version == null ? versions.get(0) : version);
    try (PublishedOnnxGenerator generator = PublishedOnnxGenerator.open(bundle)) {
      return measure(
          RunConfig.getDefaultInstance(),
          bundle.shape(),
          generator::pixels,
          bundle.latentSize(),
          bundle.classes().orElse(null),
          device);
    }
  }

  private QualityReport measure(
      RunConfig runConfig,
      ImageShape shape,
      ImageGenerator<byte[]> generator,
      int latentSize,
      @Nullable ImageClasses classes,
      TrainingDevice device)
      throws IOException {
    RunConfig.Builder config = runConfig.toBuilder();
    if (data.namesImages()) {
      config.clearData().clearDataset().clearImages();
    } else if (runConfig.getData().isEmpty() && runConfig.getDataset().isEmpty()) {
      throw new IOException("cannot evaluate: no images are named; give --data or --dataset");
    }
    data.addTo(config);
    // Such images as the generator makes; otherwise a mismatch of grey and RGB is an error.
    config.setChannels(shape.channels());
    RunConfig complete = TrainingConfig.withDataDefaults(config);
    try (DatasetSplit images =
            TrainingInputs.openImages(
                complete, shape, Path.of(""), RunStore.cache(runs), () -> {});
        Evaluator quality =
            Evaluator.of(complete, images, Path.of(""), RunStore.cache(runs), device, () -> {})) {
      if (!quality.isPossible()) {
        throw new IOException(
            "cannot evaluate: %s has no labels; give --features <model.onnx>"
                .formatted(images.training().name()));
      }
      quality.checkFeatures();
      return quality.measure(generator, latentSize, classes).orElseThrow();
    }
  }
}
