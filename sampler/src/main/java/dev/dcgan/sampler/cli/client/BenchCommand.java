package dev.dcgan.sampler.cli.client;

import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Validator;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Uint64Converter;
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
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler bench}: how many images a sampler makes in a second, and how soon. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Calls a sampler for a while, and says how many images came and how long each call took.",
      "No two calls ask for the same images, and every answer is checked for having as many as were",
      "asked for. Latencies and errors are of the calls that began within --duration; all of them",
      "are waited for. Rates are of what arrived within it. The exit code is 1 where no call",
      "succeeded."
    })
public final class BenchCommand implements Settings.Command {

  /** What makes a caller call; the constants are spelled as on the command line. */
  enum Mode {
    closed,
    open
  }

  /** Spelled as on the command line. */
  enum Urgency {
    low(Priority.PRIORITY_LOW),
    normal(Priority.PRIORITY_NORMAL),
    high(Priority.PRIORITY_HIGH);

    private final Priority priority;

    Urgency(Priority priority) {
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

  private static final long MOST_IMAGES = 0xFFFFFFFFL;
  private static final double MOST_CALLS_PER_SECOND = 1e6;
  private static final int MOST_CALLERS = 10_000;
  private static final int MOST_CONNECTIONS = 1000;
  private static final Duration PROBE = Duration.ofSeconds(10);

  @Option(names = "--target", description = "The sampler's host:port.")
  private String target = "localhost:50051";

  @Option(
      names = "--mode",
      description = {
        "closed: each caller calls again as soon as it was answered, so latencies are of the calls as"
            + " they were made, fewer while the sampler is slow; open: calls are due at --rate, whether"
            + " or not those before were answered, and latencies count from when a call was due, also"
            + " where it had to wait for one of --concurrency to end."
      })
  private Mode mode = Mode.closed;

  @Option(names = "--concurrency", description = "Callers; of open: calls in flight at most.")
  private int concurrency = 8;

  @Option(names = "--rate", description = "Of open: calls a second.")
  private @Nullable Double rate;

  @Option(names = "--count", description = "Images a call.")
  private long count = 1;

  @Option(names = "--format", description = "raw, png, float or sheet.")
  private String format = "raw";

  @Option(names = "--stream", description = "Each call is a GenerateStream, not a Generate.")
  private boolean stream;

  @Option(
      names = "--duration",
      showDefaultValue = Visibility.NEVER,
      description = "How long to measure. Default: 10s")
  private Duration duration = Duration.ofSeconds(10);

  @Option(
      names = "--warm-up",
      showDefaultValue = Visibility.NEVER,
      description = "How long to call before that, uncounted. Default: 3s")
  private Duration warmUp = Duration.ofSeconds(3);

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Each call's deadline; 0: none. Default: 10s")
  private Duration timeout = Duration.ofSeconds(10);

  @Option(names = "--connections", description = "Shared by the callers.")
  private int connections = 1;

  @Option(
      names = "--seed",
      description = "Of the images. Default: another one each time",
      converter = Uint64Converter.class)
  private @Nullable Long seed;

  @Option(names = "--priority", description = "low, normal or high.")
  private Urgency priority = Urgency.normal;

  @Option(names = "--model", description = "Which model. Default: the only one that is served")
  private String model = "";

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the result there, as JSON; made anew.")
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
    problems.requireRange("--concurrency", concurrency, 1, MOST_CALLERS);
    problems.require(
        rate == null || (rate > 0 && rate <= MOST_CALLS_PER_SECOND),
        "--rate %s: expected above 0, at most %.0f".formatted(rate, MOST_CALLS_PER_SECOND));
    problems.require(
        mode == Mode.closed || rate != null, "--mode open needs --rate: how many calls a second");
    problems.require(
        mode == Mode.open || rate == null, "--rate is of --mode open; a closed loop has none");
    problems.requireRange("--count", count, 1, MOST_IMAGES);
    problems.require(
        FORMATS.containsKey(format),
        "--format '%s': expected one of %s".formatted(format, FORMATS.keySet()));
    problems.require(
        !(stream && format.equals("sheet")), "--stream has no sheets; choose another --format");
    problems.requireRange("--duration (in ms)", duration.toMillis(), 1, 86_400_000);
    problems.requireRange("--warm-up (in ms)", warmUp.toMillis(), 0, 3_600_000);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 0, 3_600_000);
    problems.requireRange("--connections", connections, 1, MOST_CONNECTIONS);
    problems.require(
        connections <= concurrency,
        "--connections %d: --concurrency %d cannot use more than one each"
            .formatted(connections, concurrency));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    GenerateRequest.Builder request = request();
    Map<String, Object> doing = doing(probe(request), request.getSeed());
    console.println(inWords(doing));
    if (json != null && json.toAbsolutePath().getParent() != null) {
      Files.createDirectories(json.toAbsolutePath().getParent());
    }
    LoadReport report = run(request);
    if (report.succeeded() > 0) {
      LoadTable.lines(report).forEach(console::println);
    }
    if (json != null) {
      Files.writeString(json, LoadTable.json(doing, report));
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
        .setModel(model);
  }

  /** One call of the kind to be made, for images that none of those asks for. */
  private GenerateResponse probe(GenerateRequest.Builder request) throws IOException {
    GenerateRequest.Builder last = request.clone().setFirstIndex(Long.MAX_VALUE - count);
    try (SamplerClient client =
        SamplerClient.of(tls.target(target), timeout.isZero() ? PROBE : timeout)) {
      return client.generate((stream ? last.setCount(1) : last).build());
    }
  }

  /** What is about to be done, for people and in the JSON. */
  private Map<String, Object> doing(GenerateResponse probed, long seed) {
    ModelVersion served = probed.getModel();
    Map<String, Object> doing = new LinkedHashMap<>();
    doing.put("target", target);
    doing.put("model", served.getName() + "/" + served.getVersion());
    doing.put("provider", probed.getProvider());
    doing.put("mode", mode.name());
    doing.put("concurrency", concurrency);
    if (rate != null) {
      doing.put("rate", rate);
    }
    doing.put("count", count);
    doing.put("format", format);
    doing.put("stream", stream);
    doing.put("connections", connections);
    // As a string: JSON's numbers are doubles to most readers.
    doing.put("seed", Long.toUnsignedString(seed));
    doing.put("priority", priority.name());
    doing.put("warm_up_seconds", warmUp.toNanos() / 1e9);
    doing.put("duration_seconds", duration.toNanos() / 1e9);
    return doing;
  }

  private static String inWords(Map<String, Object> doing) {
    return doing.entrySet().stream()
        .map(option -> option.getKey() + " " + option.getValue())
        .collect(Collectors.joining(", "));
  }

  private LoadReport run(GenerateRequest.Builder request) throws IOException, InterruptedException {
    GenerateRequest template = request.build();
    LoadPlan<GenerateRequest> plan =
        new LoadPlan<>(
            Reply.of(
                stream
                    ? SamplerServiceGrpc.getGenerateStreamMethod()
                    : SamplerServiceGrpc.getGenerateMethod(),
                new ReplyReader(template.getFormat())),
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
        ? "no call to %s began within --duration; measure longer".formatted(target)
        : "none of %d calls to %s succeeded: %s".formatted(report.calls(), target, errors);
  }
}
