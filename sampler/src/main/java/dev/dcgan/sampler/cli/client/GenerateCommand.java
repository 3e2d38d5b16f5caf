package dev.dcgan.sampler.cli.client;

import com.google.protobuf.ByteString;
import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Uint64Converter;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler generate}: images from a sampler into files. */
@Command(
    name = "generate",
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Requests images from a sampler and writes them to files.",
      "The result is one contact sheet, or one PNG file per image. Image i of a seed does not"
          + " depend on when or how it is requested."
    })
public final class GenerateCommand implements Settings.Command {

  /** The output; the constants are spelled as on the command line. */
  enum Format {
    sheet,
    png
  }

  private static final long MAX_IMAGES = 0xFFFFFFFFL;
  private static final long DEFAULT_IMAGES = 25;
  private static final int MAX_SEEDS = 1 << 16;
  private static final int MAX_COLUMNS = 1 << 16;
  private static final int MAX_SCALE = 16;

  @Option(names = "--target", paramLabel = "HOST:PORT", description = "The sampler's host:port.")
  private String target = "localhost:50051";

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The model. Default: the only one that is served")
  private @Nullable String model;

  @Option(
      names = {"--version", "--model-version"},
      paramLabel = "N",
      description = "The version of the model. Default: the one in service")
  private @Nullable Long version;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Random seed of the sequence of images. Default: 0",
      converter = Uint64Converter.class)
  private @Nullable Long seed;

  @Option(
      names = "--seeds",
      paramLabel = "SEED",
      split = ",",
      showDefaultValue = Visibility.NEVER,
      description =
          "Several seeds instead of one, separated by commas: their images follow in order.",
      converter = Uint64Converter.class)
  private List<Long> seeds = List.of();

  @Option(
      names = "--label",
      paramLabel = "LABEL",
      showDefaultValue = Visibility.NEVER,
      description =
          "Class of the images: its name, or its position in the manifest. Given several times:"
              + " each image is of one of them. Default: as the training images have them")
  private List<String> labels = List.of();

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Number of images; with --seeds, of each seed. Default: 25, or 1 with --seeds")
  private @Nullable Long count;

  @Option(
      names = "--first-index",
      paramLabel = "N",
      description = "Index of the first image in the sequence.")
  private long firstIndex;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "Scales the latents, above 0 and at most 2: below 1 the images are closer to the mean"
              + " image and less varied. Default: 1")
  private @Nullable Float temperature;

  @Option(
      names = "--format",
      paramLabel = "NAME",
      description =
          "sheet: one contact sheet; png: one file per image, named by its index, or by seed and"
              + " index with --seeds.")
  private Format format = Format.sheet;

  @Option(
      names = "--columns",
      paramLabel = "N",
      description = "Images per row of the contact sheet. Default: 5")
  private @Nullable Integer columns;

  @Option(
      names = "--scale",
      paramLabel = "N",
      description = "Enlarges the images for viewing: each pixel becomes N x N pixels, 1 to 16.")
  private int scale = 1;

  @Option(
      names = "--out",
      paramLabel = "PATH",
      required = true,
      showDefaultValue = Visibility.NEVER,
      description = "Output file for sheet, output folder for png; created if it does not exist.")
  private Path out = Path.of("");

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout for each response. Default: 60s")
  private Duration timeout = Duration.ofSeconds(60);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  // --version is that of the model here, so the standard option for the program's is left out.
  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help message and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it.
  private boolean help;

  private final PrintStream console = System.out;

  // Mutable state
  private long written; // Images in files.

  @Override
  public void check(Validator problems) {
    problems.require(model == null || !model.isBlank(), "--model is empty: expected a name");
    if (version != null) {
      problems.requireRange("--version", version, 1, Long.MAX_VALUE);
    }
    problems.require(
        seed == null || seeds.isEmpty(), "--seed and --seeds: expected either one or the other");
    problems.require(
        seeds.size() <= MAX_SEEDS,
        "--seeds has %d seeds: expected at most %d".formatted(seeds.size(), MAX_SEEDS));
    problems.requireRange("--count", countPerSeed(), 1, MAX_IMAGES);
    problems.require(
        temperature == null || (temperature > 0 && temperature <= 2),
        "--temperature " + temperature + ": expected above 0, at most 2");
    problems.require(
        columns == null || format == Format.sheet, "--columns is for --format sheet only");
    if (columns != null) {
      problems.requireRange("--columns", columns, 1, MAX_COLUMNS);
    }
    problems.requireRange("--scale", scale, 1, MAX_SCALE);
    problems.requireRange("--first-index", firstIndex, 0, Long.MAX_VALUE);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    tls.check(problems);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    GenerateRequest.Builder request =
        GenerateRequest.newBuilder()
            .setModel(model == null ? "" : model)
            .setVersion(version == null ? 0 : version)
            .setSeed(seed == null ? 0 : seed)
            .addAllSeeds(seeds)
            .addAllLabels(labels)
            .setFirstIndex(firstIndex)
            .setCount((int) countPerSeed())
            .setColumns(columns == null ? 0 : columns)
            .setScale(scale);
    if (temperature != null) {
      request.setTemperature(temperature);
    }
    try (SamplerClient client = SamplerClient.of(tls.target(target), timeout)) {
      if (format == Format.sheet) {
        request.setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
        writeSheet(client.generate(request.build()));
      } else {
        request.setFormat(ImageFormat.IMAGE_FORMAT_PNG);
        Files.createDirectories(out);
        client.generateStream(request.build(), this::writeFiles);
        requireAll(written);
      }
    }
    return 0;
  }

  private long countPerSeed() {
    if (count != null) {
      return count;
    }
    return seeds.isEmpty() ? DEFAULT_IMAGES : 1;
  }

  private long allImages() {
    return countPerSeed() * Math.max(1, seeds.size());
  }

  /** A sampler that is older than {@code seeds} ignores them. */
  private void requireAll(long images) throws IOException {
    if (images != allImages()) {
      throw new IOException(
          "%s returned %d images; expected %d: it may be older than this program"
              .formatted(target, images, allImages()));
    }
  }

  private void writeSheet(GenerateResponse response) throws IOException {
    requireAll(Integer.toUnsignedLong(response.getCount()));
    Path folder = out.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    write(out, response.getSheet());
    report(response, "in " + out);
  }

  private void writeFiles(GenerateResponse response) throws IOException {
    for (ByteString png : response.getPngList()) {
      write(out.resolve(fileName(written++)), png);
    }
    if (written == allImages()) {
      report(response, "%s to %s in %s".formatted(fileName(0), fileName(written - 1), out));
    }
  }

  /** The name of the file of an image, by its place in the responses. */
  private String fileName(long place) {
    String index = "%06d.png".formatted(firstIndex + place % countPerSeed());
    return seeds.isEmpty()
        ? index
        : Long.toUnsignedString(seeds.get((int) (place / countPerSeed()))) + "-" + index;
  }

  private void report(GenerateResponse response, String where) {
    ModelVersion model = response.getModel();
    console.printf(
        "%d images of %s/%d on %s, %s%n",
        allImages(), model.getName(), model.getVersion(), response.getProvider(), where);
  }

  private static void write(Path file, ByteString bytes) throws IOException {
    try (OutputStream to = Files.newOutputStream(file)) {
      bytes.writeTo(to);
    }
  }
}
