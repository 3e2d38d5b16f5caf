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
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler generate}: images from a sampler into files. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Requests images from a sampler: one contact sheet, or one PNG file per image.",
      "Image i of a seed does not depend on when or how it is requested."
    })
public final class GenerateCommand implements Settings.Command {

  /** The output; the constants are spelled as on the command line. */
  enum Format {
    sheet,
    png
  }

  private static final long MAX_IMAGES = 0xFFFFFFFFL;

  @Option(names = "--target", description = "The sampler's host:port.")
  private String target = "localhost:50051";

  @Option(
      names = "--seed",
      description = "Random seed of the sequence of images.",
      converter = Uint64Converter.class)
  private long seed;

  @Option(names = "--count", description = "Number of images.")
  private long count = 25;

  @Option(names = "--first-index", description = "Index of the first image in the sequence.")
  private long firstIndex;

  @Option(
      names = "--format",
      description =
          "sheet: one contact sheet, five images per row; png: one file per image, named by its"
              + " index.")
  private Format format = Format.sheet;

  @Option(
      names = "--out",
      required = true,
      description = "Output file for sheet, output folder for png; created if it does not exist.")
  private Path out = Path.of("");

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout for each response. Default: 60s")
  private Duration timeout = Duration.ofSeconds(60);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    problems.requireRange("--count", count, 1, MAX_IMAGES);
    problems.requireRange("--first-index", firstIndex, 0, Long.MAX_VALUE);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    tls.check(problems);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    GenerateRequest.Builder request =
        GenerateRequest.newBuilder().setSeed(seed).setFirstIndex(firstIndex).setCount((int) count);
    try (SamplerClient client = SamplerClient.of(tls.target(target), timeout)) {
      if (format == Format.sheet) {
        request.setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
        writeSheet(client.generate(request.build()));
      } else {
        request.setFormat(ImageFormat.IMAGE_FORMAT_PNG);
        Files.createDirectories(out);
        client.generateStream(request.build(), this::writeFiles);
      }
    }
    return 0;
  }

  private void writeSheet(GenerateResponse response) throws IOException {
    Path folder = out.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    write(out, response.getSheet());
    report(response, "in " + out);
  }

  private void writeFiles(GenerateResponse response) throws IOException {
    long index = response.getFirstIndex();
    for (ByteString png : response.getPngList()) {
      write(out.resolve("%06d.png".formatted(index++)), png);
    }
    if (index == firstIndex + count) {
      report(response, "%06d.png to %06d.png in %s".formatted(firstIndex, index - 1, out));
    }
  }

  private void report(GenerateResponse response, String where) {
    ModelVersion model = response.getModel();
    console.printf(
        "%d images of %s/%d on %s, %s%n",
        count, model.getName(), model.getVersion(), response.getProvider(), where);
  }

  private static void write(Path file, ByteString bytes) throws IOException {
    try (OutputStream to = Files.newOutputStream(file)) {
      bytes.writeTo(to);
    }
  }
}
