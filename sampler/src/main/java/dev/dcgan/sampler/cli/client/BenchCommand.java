package dev.dcgan.sampler.cli.client;

import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Uint64Converter;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Priority;
import dev.dcgan.v1.SamplerServiceGrpc;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler bench}: measures the throughput and latency of a sampler. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Load-tests a sampler and reports throughput, latency percentiles and errors.",
      "No two calls request the same images, and every response is checked for the number of"
          + " images. Latencies and errors are those of calls that started within --duration,"
          + " however long they took. Rates are those of responses that arrived within it.",
      "The exit code is 1 if no call succeeded."
    })
public final class BenchCommand implements Settings.Command {

  /** The kind of load; the constants are spelled as on the command line. */
  enum Mode {
    closed,
    open
  }

  /** The priority of calls; the constants are spelled as on the command line. */
  enum CallPriority {
    low(Priority.PRIORITY_LOW),
    normal(Priority.PRIORITY_NORMAL),
    high(Priority.PRIORITY_HIGH);

    private final Priority priority;

    CallPriority(Priority priority) {
      this.priority = priority;
    }
  }

  private static final Map<String, ImageFormat> FORMATS =
      new TreeMap<>(
          Map.of(
              "raw", ImageFormat.IMAGE_FORMAT_RAW,
              "png", ImageFormat.IMAGE_FORMAT_PNG,
              "float", ImageFormat.IMAGE_FORMAT_FLOAT,
              "sheet", ImageFormat.IMAGE_FORMAT_SHEET));

  private static final long MAX_IMAGES = 0xFFFFFFFFL;
  private static final double MAX_CALLS_PER_SECOND = 1e6;
  private static final int MAX_CALLERS = 10_000;
  private static final int MAX_CONNECTIONS = 1000;
  private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(10);

  @Option(names = "--target", description = "The sampler's host:port.")
  private String target = "localhost:50051";

  @Option(
      names = "--mode",
      description = {
        "closed: each caller calls again as soon as its call has ended, so a slow sampler gets fewer"
            + " calls; open: calls are due at --rate regardless of earlier ones, and latency counts"
            + " from when a call was due, even if it had to wait for one of --concurrency to end."
      })
  private Mode mode = Mode.closed;

  @Option(
      names = "--concurrency",
      description = "Number of callers; for open, the maximum of calls in flight.")
  private int concurrency = 8;

  @Option(names = "--rate", description = "Calls per second, for --mode open.")
  private @Nullable Double rate;

  @Option(names = "--count", description = "Images per call.")
  private long count = 1;

  @Option(names = "--format", description = "raw, png, float or sheet.")
  private String format = "raw";

  @Option(names = "--stream", description = "Call GenerateStream instead of Generate.")
  private boolean stream;

  @Option(
      names = "--duration",
      showDefaultValue = Visibility.NEVER,
      description = "Duration of the measurement. Default: 10s")
  private Duration duration = Duration.ofSeconds(10);

  @Option(
      names = "--warm-up",
      showDefaultValue = Visibility.NEVER,
      description = "Duration of the load before the measurement. Default: 3s")
  private Duration warmUp = Duration.ofSeconds(3);

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Deadline of each call; 0: none. Default: 10s")
  private Duration timeout = Duration.ofSeconds(10);

  @Option(names = "--connections", description = "Number of connections, shared by the callers.")
  private int connections = 1;

  @Option(
      names = "--seed",
      description = "Random seed of the images. Default: random",
      converter = Uint64Converter.class)
  private @Nullable Long seed;

  @Option(
      names = "--label",
      showDefaultValue = Visibility.NEVER,
      description =
          "Class of the images: its name, or its position in the manifest. Given several times:"
              + " each image is of one of them. Default: as the training images have them")
  private List<String> labels = List.of();

  @Option(names = "--priority", description = "Priority of the calls: low, normal or high.")
  private CallPriority priority = CallPriority.normal;

  @Option(
      names = "--model",
      showDefaultValue = Visibility.NEVER,
      description = "The model. Default: the only one that is served")
  private String model = "";

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the result to this file as JSON; it is overwritten.")
  private @Nullable Path json;

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console;

  public BenchCommand() {
    this(System.out);
  }

  BenchCommand(PrintStream console) {
    this.console = console;
  }

  @Override
  public void check(Validator problems) {
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    tls.check(problems);
    problems.requireRange("--concurrency", concurrency, 1, MAX_CALLERS);
    problems.require(
        rate == null || (rate > 0 && rate <= MAX_CALLS_PER_SECOND),
        "--rate %s: expected above 0, at most %.0f".formatted(rate, MAX_CALLS_PER_SECOND));
    problems.require(
        mode == Mode.closed || rate != null, "--mode open needs --rate: set the calls per second");
    problems.require(
        mode == Mode.open || rate == null,
        "--rate needs --mode open: a closed loop has no rate; leave it out");
    problems.requireRange("--count", count, 1, MAX_IMAGES);
    problems.require(
        FORMATS.containsKey(format),
        "--format '%s': expected one of %s".formatted(format, FORMATS.keySet()));
    problems.require(
        !(stream && format.equals("sheet")),
        "--stream cannot send --format sheet; choose another format");
    problems.requireRange("--duration (in ms)", duration.toMillis(), 1, 86_400_000);
    problems.requireRange("--warm-up (in ms)", warmUp.toMillis(), 0, 3_600_000);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 0, 3_600_000);
    problems.requireRange("--connections", connections, 1, MAX_CONNECTIONS);
    problems.require(
        connections <= concurrency,
        "--connections %d: expected at most --concurrency, %d".formatted(connections, concurrency));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    GenerateRequest.Builder request = request();
    Map<String, Object> options = options(probe(request), request.getSeed());
    console.println(line(options));
    if (json != null && json.toAbsolutePath().getParent() != null) {
      Files.createDirectories(json.toAbsolutePath().getParent());
    }
    LoadReport report = run(request);
    if (report.succeeded() > 0) {
      LoadTable.lines(report).forEach(console::println);
    }
    if (json != null) {
      Files.writeString(json, LoadTable.json(options, report));
    }
    if (report.succeeded() == 0) {
      throw new IOException(noneSucceeded(report));
    }
    return 0;
  }

  private GenerateRequest.Builder request() {
    return GenerateRequest.newBuilder()
        .setSeed(seed == null ? new SecureRandom().nextLong() : seed)
        .setCount((int) count)
        .setFormat(FORMATS.getOrDefault(format, ImageFormat.IMAGE_FORMAT_RAW))
        .setPriority(priority.priority)
        .addAllLabels(labels)
        .setModel(model);
  }

  /** Makes one call like those of the load, for images that none of them requests. */
  private GenerateResponse probe(GenerateRequest.Builder request) throws IOException {
    GenerateRequest.Builder last = request.clone().setFirstIndex(Long.MAX_VALUE - count);
    try (SamplerClient client =
        SamplerClient.of(tls.target(target), timeout.isZero() ? PROBE_TIMEOUT : timeout)) {
      return client.generate((stream ? last.setCount(1) : last).build());
    }
  }

  /** The options of the load, for the console and the JSON. */
  private Map<String, Object> options(GenerateResponse probed, long seed) {
    ModelVersion served = probed.getModel();
    Map<String, Object> options = new LinkedHashMap<>();
    options.put("target", target);
    options.put("model", served.getName() + "/" + served.getVersion());
    options.put("provider", probed.getProvider());
    options.put("mode", mode.name());
    options.put("concurrency", concurrency);
    if (rate != null) {
      options.put("rate", rate);
    }
    options.put("count", count);
    options.put("format", format);
    options.put("stream", stream);
    options.put("connections", connections);
    // A string, because most JSON readers parse numbers as doubles.
    options.put("seed", Long.toUnsignedString(seed));
    if (!labels.isEmpty()) {
      options.put("labels", String.join(",", labels));
    }
    options.put("priority", priority.name());
    options.put("warm_up_seconds", warmUp.toNanos() / 1e9);
    options.put("duration_seconds", duration.toNanos() / 1e9);
    return options;
  }

  private static String line(Map<String, Object> options) {
    return options.entrySet().stream()
        .map(option -> option.getKey() + " " + option.getValue())
        .collect(Collectors.joining(", "));
  }

  private LoadReport run(GenerateRequest.Builder request) throws IOException, InterruptedException {
    GenerateRequest template = request.build();
    LoadPlan<GenerateRequest> plan =
        new LoadPlan<>(
            ResponseSummary.of(
                stream
                    ? SamplerServiceGrpc.getGenerateStreamMethod()
                    : SamplerServiceGrpc.getGenerateMethod(),
                new ResponseReader(template.getFormat())),
            number -> template.toBuilder().setFirstIndex(number * count).build(),
            count,
            concurrency,
            rate == null ? 0 : rate,
            warmUp,
            duration,
            timeout);
    try (Connections shared = Connections.to(tls.target(target), connections)) {
      return Load.run(plan, shared.channels());
    }
  }

  private String noneSucceeded(LoadReport report) {
    String errors =
        report.errors().entrySet().stream()
            .map(
                error ->
                    "%d %s (%s)"
                        .formatted(
                            error.getValue().count(),
                            error.getKey(),
                            error.getValue().firstMessage()))
            .collect(Collectors.joining(", "));
    return report.calls() == 0
        ? "no call to %s started within --duration; raise it".formatted(target)
        : "none of %d calls to %s succeeded: %s".formatted(report.calls(), target, errors);
  }
}
