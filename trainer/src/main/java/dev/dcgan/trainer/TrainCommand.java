package dev.dcgan.trainer;

import dev.dcgan.server.MetricsEndpoint;
import dev.dcgan.server.Problems;
import dev.dcgan.server.SeedConverter;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.trainer.data.DigitsDataset;
import dev.dcgan.trainer.data.IdxDataset;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.trainer.train.Hyperparameters;
import dev.dcgan.trainer.train.TrainingDevice;
import dev.dcgan.trainer.train.TrainingLoop;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer train}: pictures in, a published model out. */
@Command(
    name = "train",
    description = "Trains on pictures, then exports, checks and publishes the generator.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
final class TrainCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger("train");
  private static final List<String> DEVICES = List.of("auto", "cpu", "cuda");
  private static final String DIGITS = "digits";

  @Option(
      names = "--data",
      paramLabel = "PATH",
      description = "Folder of IDX files (MNIST and its like, gzip or plain), or one such file.")
  private @Nullable Path data;

  @Option(
      names = "--dataset",
      paramLabel = "NAME",
      description =
          "Pictures that need no files: digits, drawn by the program. Used without --data.")
  private @Nullable String dataset;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "How many digits to draw.",
      defaultValue = "20000")
  private int images;

  @Option(names = "--epochs", description = "Passes over the pictures.", defaultValue = "25")
  private int epochs;

  @Option(names = "--batch-size", description = "Pictures a step.", defaultValue = "128")
  private int batchSize;

  @Option(names = "--latent", description = "Length of the latent z.", defaultValue = "64")
  private int latent;

  @Option(
      names = "--width",
      description = "Channels that the generator is multiples of; fewer are faster and coarser.",
      defaultValue = "128")
  private int width;

  @Option(names = "--learning-rate", description = "Adam's rate.", defaultValue = "0.0002")
  private float learningRate;

  @Option(names = "--beta1", description = "Adam's first decay.", defaultValue = "0.5")
  private float beta1;

  @Option(names = "--beta2", description = "Adam's second decay.", defaultValue = "0.999")
  private float beta2;

  @Option(
      names = "--seed",
      description = "Of first weights, noise and order: the same seed, the same model.",
      converter = SeedConverter.class,
      defaultValue = "1")
  private long seed;

  @Option(
      names = "--device",
      description = "auto, cpu or cuda; auto is cuda where it works.",
      defaultValue = "auto")
  private String device = "auto";

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Where the run's folder goes: samples, checkpoints.",
      defaultValue = "runs")
  private Path runs = Path.of("runs");

  @Mixin private PublishOptions publish = new PublishOptions();

  @Option(
      names = "--http-port",
      paramLabel = "PORT",
      description = "Of /metrics; 0 for any free one.",
      defaultValue = "9401")
  private int httpPort;

  @Override
  public void check(Problems problems) {
    problems.require(
        data == null || dataset == null, "--data and --dataset: expected one of them, not both");
    problems.require(
        data == null || Files.exists(data), "--data " + data + ": no such file or folder");
    problems.require(
        dataset == null || dataset.equals(DIGITS), "--dataset " + dataset + ": expected " + DIGITS);
    problems.requireRange("--images", images, 2, 1_000_000);
    problems.requireRange("--epochs", epochs, 1, 100_000);
    problems.requireRange("--batch-size", batchSize, 2, 65_536);
    problems.requireRange("--latent", latent, 1, 1024);
    problems.requireRange("--width", width, 4, 512);
    problems.require(
        learningRate > 0 && Float.isFinite(learningRate),
        "--learning-rate " + learningRate + ": expected a number above 0");
    problems.require(beta1 >= 0 && beta1 < 1, "--beta1 " + beta1 + ": expected 0 to below 1");
    problems.require(beta2 >= 0 && beta2 < 1, "--beta2 " + beta2 + ": expected 0 to below 1");
    problems.require(
        DEVICES.contains(device), "--device " + device + ": expected one of " + DEVICES);
    publish.check(problems);
    problems.requirePort("--http-port", httpPort);
  }

  @Override
  public Integer call() throws IOException {
    Shutdown shutdown = Shutdown.onSignal();
    PrometheusRegistry registry = new PrometheusRegistry();
    TrainerMetrics metrics = new TrainerMetrics(registry);
    try (MetricsEndpoint endpoint = MetricsEndpoint.start(httpPort, registry)) {
      TrainingDevice trainingDevice = TrainingDevice.select(device);
      ImageDataset pictures = open();
      Architecture architecture = Architecture.mnist28(latent, width);
      Hyperparameters hyperparameters =
          new Hyperparameters(epochs, batchSize, learningRate, beta1, beta2, seed);
      Path folder = createFolder();
      log.info(
          "{} pictures of {} from {}; {} on {}; metrics on port {}; run in {}",
          pictures.size(),
          pictures.shape(),
          pictures.name(),
          architecture.name(),
          trainingDevice,
          endpoint.port(),
          folder);
      ConsoleProgress progress =
          new ConsoleProgress(
              epochs,
              TrainingLoop.stepsPerEpoch(pictures.size(), batchSize),
              Boolean.getBoolean("dcgan.terminal"));
      Run run = new Run(folder, pictures, metrics, progress, shutdown::isRequested);
      Checkpoint checkpoint = run.train(architecture, hyperparameters, trainingDevice);
      if (shutdown.isRequested()) {
        log.info("nothing was published; `trainer export --checkpoint` publishes a checkpoint");
      } else {
        publish.publisher().publish(checkpoint, folder.getFileName().toString());
      }
      return 0;
    }
  }

  private ImageDataset open() throws IOException {
    return data == null ? new DigitsDataset(images, seed) : IdxDataset.open(data);
  }

  /** {@code runs/<UTC time>-<model>}; two runs started in one second get a number each. */
  private Path createFolder() throws IOException {
    Files.createDirectories(runs);
    String name =
        LocalDateTime.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss"))
            + "-"
            + publish.model();
    for (int n = 1; ; n++) {
      Path folder = runs.resolve(n == 1 ? name : name + "-" + n);
      try {
        return Files.createDirectory(folder);
      } catch (FileAlreadyExistsException e) {
        log.debug("{} is taken", folder);
      }
    }
  }
}
