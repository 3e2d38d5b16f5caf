package dev.dcgan.trainer.cli;

import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.config.Preset;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.Benchmark;
import dev.dcgan.trainer.train.Benchmark.Measurement;
import dev.dcgan.trainer.train.CudaEnvironment;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code trainer benchmark}: the training speed of this machine, by phase of a step. */
@Command(
    name = "benchmark",
    description = {
      "Measures the time of training steps on this machine.",
      "The images are noise. On a CPU the same steps are measured in turn with PyTorch's own"
          + " operator for every layer, which a GPU uses anyway. The medians of the turns are"
          + " printed."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
public final class BenchmarkCommand implements Settings.Command {

  private static final int CLASSES = 10;

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      description = "The networks to train, see trainer train.",
      defaultValue = "mnist28")
  private String preset = "mnist28";

  @Option(
      names = "--width",
      paramLabel = "N",
      description = "Base number of generator channels (ngf). Default: the preset's",
      converter = UnsignedConverter.class)
  private @Nullable Integer width;

  @Option(names = "--conditional", description = "Train conditional networks, of ten classes.")
  private boolean conditional;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Images per batch.",
      defaultValue = "128",
      converter = UnsignedConverter.class)
  private int batchSize = 128;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Steps per turn.",
      defaultValue = "10",
      converter = UnsignedConverter.class)
  private int steps = 10;

  @Option(
      names = "--turns",
      paramLabel = "N",
      description = "Turns of each variant.",
      defaultValue = "7",
      converter = UnsignedConverter.class)
  private int turns = 7;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "auto, cpu, cuda or cuda:N; auto is cuda if it works, else cpu.",
      defaultValue = "auto")
  private String device = "auto";

  @Option(
      names = "--precision",
      paramLabel = "PRECISION",
      description = "fp32 or tf32, see trainer train.",
      defaultValue = "fp32")
  private String precision = "fp32";

  @Option(names = "--deterministic", description = "On CUDA, use deterministic algorithms only.")
  private boolean deterministic;

  @Override
  public void check(Validator problems) {
    problems.require(
        Preset.named(preset).isPresent(),
        "--preset %s: expected one of %s".formatted(preset, Preset.labels()));
    problems.require(
        width == null || (width >= 4 && width <= 512), "--width " + width + ": expected 4 to 512");
    problems.require(
        batchSize >= 2 && batchSize <= 4096, "--batch-size " + batchSize + ": expected 2 to 4096");
    problems.require(steps >= 1, "--steps " + steps + ": expected 1 or more");
    problems.require(turns >= 1, "--turns " + turns + ": expected 1 or more");
    problems.require(
        TrainingDevice.isChoice(device),
        "--device '%s': expected %s".formatted(device, TrainingDevice.CHOICES));
    problems.require(
        Precision.named(precision).isPresent(),
        "--precision '%s': expected %s".formatted(precision, Precision.labels()));
    problems.requireNoTelemetry("bin/trainer");
  }

  @Override
  public Integer call() throws IOException {
    return NativeFailureException.reporting(this::benchmark);
  }

  private int benchmark() throws IOException {
    TrainingDevice where = TrainingDevice.select(device);
    Preset chosen = Preset.named(preset).orElseThrow();
    Architecture architecture =
        chosen
            .architecture(64, 3, chosen.latent, width == null ? chosen.width : width)
            .withClasses(conditional ? CLASSES : 0);
    System.out.printf(
        "%s, batches of %d, on %s (%d threads), %s: medians of %d turns of %d steps%n%n",
        architecture.title(), batchSize, where, Benchmark.threads(), precision, turns, steps);
    List<Measurement> ours = new ArrayList<>();
    List<Measurement> plain = new ArrayList<>();
    List<Double> peaks = new ArrayList<>();
    boolean isGpu = where.isGpu();
    Hyperparameters hyperparameters =
        new Hyperparameters(
            1,
            batchSize,
            chosen.generatorLearningRate,
            chosen.discriminatorLearningRate,
            0.5f,
            0.999f,
            0,
            chosen.emaDecay,
            1,
            1,
            Precision.named(precision).orElseThrow(),
            deterministic,
            chosen.extensions);
    if (isGpu) {
      CudaEnvironment.check(hyperparameters, System.getenv()).ifPresent(System.out::println);
    }
    try (Benchmark fast = new Benchmark(where, architecture, hyperparameters, 1, false);
        @Nullable Benchmark slow =
            isGpu ? null : new Benchmark(where, architecture, hyperparameters, 1, true)) {
      for (int i = 0; i < turns; i++) {
        ours.add(fast.measure(steps));
        if (slow != null) {
          plain.add(slow.measure(steps));
        }
        peaks.add(Benchmark.peak(where));
      }
    }
    print(
        ours,
        plain,
        median(peaks),
        Benchmark.operationsPerImage(architecture, chosen.extensions.sharedFakes()));
    return 0;
  }

  /** Prints the medians; {@code plain} is empty on a GPU. */
  private static void print(
      List<Measurement> ours, List<Measurement> plain, double peak, double operationsPerImage) {
    String head = plain.isEmpty() ? "" : "%11s %8s".formatted("plain", "ratio");
    System.out.printf("%-26s %10s%s%n", "", "ours", head);
    ToDoubleFunction<Measurement> operations = turn -> turn.imagesPerSecond() * operationsPerImage;
    row("images/s", ours, plain, Measurement::imagesPerSecond);
    for (String phase : ours.get(0).milliseconds().keySet()) {
      row(phase + ", ms", ours, plain, turn -> turn.milliseconds().get(phase));
    }
    row("GFLOP/s by definition", ours, plain, turn -> operations.applyAsDouble(turn) / 1e9);
    row(
        "%% of a product's %.0f".formatted(peak / 1e9),
        ours,
        plain,
        turn -> 100 * operations.applyAsDouble(turn) / peak);
  }

  private static void row(
      String title,
      List<Measurement> ours,
      List<Measurement> plain,
      ToDoubleFunction<Measurement> of) {
    double mine = median(ours, of);
    StringBuilder row = new StringBuilder("%-26s %10.1f".formatted(title, mine));
    if (!plain.isEmpty()) {
      double theirs = median(plain, of);
      row.append(" %10.1f %8.2f".formatted(theirs, mine / theirs));
    }
    System.out.println(row);
  }

  private static double median(List<Measurement> turns, ToDoubleFunction<Measurement> of) {
    return median(turns.stream().map(of::applyAsDouble).toList());
  }

  private static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }
}
