package dev.dcgan.sampler.cli.client;

import com.google.protobuf.ByteString;
import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Validator;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Uint64Converter;
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
      "Asks a sampler for images: one sheet, or one PNG file each.",
      "Image i of a seed is the same whenever and however it is asked for."
    })
public final class GenerateCommand implements Settings.Command {

  /** What is written; the constants are spelled as on the command line. */
  enum Format {
    sheet,
    png
  }

  private static final long MOST_IMAGES = 0xFFFFFFFFL;

  @Option(names = "--target", description = "The sampler's host:port.")
  private String target = "localhost:50051";

  @Option(
      names = "--seed",
      description = "Names the sequence of images.",
      converter = Uint64Converter.class)
  private long seed;

  @Option(names = "--count", description = "How many images.")
  private long count = 25;

  @Option(names = "--first-index", description = "The first image of the sequence.")
  private long firstIndex;

  @Option(
      names = "--format",
      description = "sheet: one PNG, five images wide; png: one file each, named by its index.")
  private Format format = Format.sheet;

  @Option(
      names = "--out",
      required = true,
      description = "The sheet's file, or for png the folder; made where it does not exist.")
  private Path out = Path.of("");

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "How long to wait for each answer. Default: 60s")
  private Duration timeout = Duration.ofSeconds(60);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    problems.requireRange("--count", count, 1, MOST_IMAGES);
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

  private void writeSheet(GenerateResponse answer) throws IOException {
    Path folder = out.toAbsolutePath().getParent();
    if (folder != null) {
      Files.createDirectories(folder);
    }
    write(out, answer.getSheet());
    report(answer, "in " + out);
  }

  private void writeFiles(GenerateResponse answer) throws IOException {
    long index = answer.getFirstIndex();
    for (ByteString png : answer.getPngList()) {
      write(out.resolve("%06d.png".formatted(index++)), png);
    }
    if (index == firstIndex + count) {
      report(answer, "%06d.png to %06d.png in %s".formatted(firstIndex, index - 1, out));
    }
  }

  private void report(GenerateResponse answer, String where) {
    ModelVersion model = answer.getModel();
    console.printf(
        "%d images of %s/%d on %s, %s%n",
        count, model.getName(), model.getVersion(), answer.getProvider(), where);
  }

  private static void write(Path file, ByteString bytes) throws IOException {
    try (OutputStream to = Files.newOutputStream(file)) {
      bytes.writeTo(to);
    }
  }
}
