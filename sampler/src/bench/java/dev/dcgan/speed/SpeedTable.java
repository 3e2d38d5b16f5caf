package dev.dcgan.speed;

import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.cli.client.Connections;
import dev.dcgan.sampler.cli.client.Load;
import dev.dcgan.sampler.cli.client.LoadPlan;
import dev.dcgan.sampler.cli.client.LoadReport;
import dev.dcgan.sampler.cli.client.ResponseReader;
import dev.dcgan.sampler.cli.client.ResponseSummary;
import dev.dcgan.server.Target;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Measures the throughput of the sampler and of a plain service relative to a bare inference loop,
 * on one machine and in one run: the three take turns, and the median of the ratios counts.
 *
 * <p>Arguments: the sampler's program, the number of turns, the seconds of each measurement. The
 * model is a {@code mnist28} with random weights, which is as slow as a trained one. The servers
 * have their own processes; the client is this one.
 */
public final class SpeedTable {

  private static final Pattern PORT = Pattern.compile("gRPC on port (\\d+)");
  private static final Duration TIMEOUT = Duration.ofMinutes(1);

  /**
   * A kind of load.
   *
   * @param stream whether each caller reads one stream of {@code count} images
   */
  private record Scenario(int callers, int count, ImageFormat format, boolean stream) {

    @Override
    public String toString() {
      String unit = stream ? "stream of " + count : count == 1 ? "1 image" : count + " images";
      return "%d x %s, %s".formatted(callers, unit, format.name().replace("IMAGE_FORMAT_", ""));
    }
  }

  private final int turns;
  private final Duration duration;
  private final Duration warmUp;
  private final List<Scenario> scenarios;
  private final Map<String, List<Double>> ratios = new LinkedHashMap<>();

  private SpeedTable(int turns, Duration duration) {
    this.turns = turns;
    this.duration = duration;
    // Long enough for the JIT compilers, even at a few thousand calls per second.
    this.warmUp = duration.multipliedBy(8);
    this.scenarios = scenarios((int) (50 * duration.toMillis()));
  }

  public static void main(String[] args) throws Exception {
    Path program = Path.of(args[0]);
    SpeedTable table =
        new SpeedTable(
            Integer.parseInt(args[1]),
            Duration.ofMillis((long) (1000 * Double.parseDouble(args[2]))));
    Path repository = Files.createTempDirectory("speed");
    try {
      table.measureModel(program, write(repository, "mnist28", SpeedModels.mnist28()));
      table.measureCeiling(program, write(repository, "free", SpeedModels.free()));
    } finally {
      try (Stream<Path> files = Files.walk(repository)) {
        files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
      }
    }
  }

  private static Path write(Path repository, String name, byte[] onnx) throws IOException {
    Path folder = Files.createDirectories(repository.resolve(name + "-models/" + name + "/1"));
    return Files.write(folder.resolve("model.onnx"), onnx);
  }

  private void measureModel(Path program, Path onnx) throws Exception {
    byte[] bytes = Files.readAllBytes(onnx);
    ImageShape shape = new ImageShape(28, 28, 1);
    int cores = Runtime.getRuntime().availableProcessors();
    try (Server ours = Server.sampler(program, onnx);
        Server plain = Server.plain(onnx, SpeedModels.LATENT);
        BareLoop loop =
            new BareLoop(bytes, 64, shape, cores, optimalBatchSize(bytes, shape, cores));
        BareLoop alone = new BareLoop(bytes, 64, shape, 1, 1)) {
      for (Server server : List.of(ours, plain)) {
        run(server, raw(64, 1), warmUp);
        run(server, raw(8, 1), warmUp);
      }
      for (int turn = 0; turn < turns; turn++) {
        for (Scenario scenario : scenarios) {
          // Scheduling is fair, so all calls of a load end at about the same time: several must
          // end.
          Duration several = longEnough(scenario);
          double bare = loop.imagesPerSecond(duration);
          double served = run(ours, scenario, several).imagesPerSecond();
          double again = loop.imagesPerSecond(duration);
          double baseline = (bare + again) / 2;
          add(scenario + ": loop, images/s", baseline);
          add(scenario + ": sampler/loop", served / baseline);
          if (!scenario.stream && scenario.format == ImageFormat.IMAGE_FORMAT_RAW) {
            double simple = run(plain, scenario, several).imagesPerSecond();
            add(scenario + ": plain/loop", simple / loop.imagesPerSecond(duration));
          }
        }
        double bare = alone.medianMillis(500);
        LoadReport one = run(ours, raw(1, 1), duration);
        add("1 x 1 image: bare run, ms", bare);
        add("1 x 1 image: p50 above it, ms", one.latency().p50() - bare);
        LoadReport onePlain = run(plain, raw(1, 1), duration);
        add("1 x 1 image: plain service's p50 above it, ms", onePlain.latency().p50() - bare);
      }
    }
    print();
  }

  private void measureCeiling(Path program, Path onnx) throws Exception {
    try (Server ours = Server.sampler(program, onnx);
        Server plain = Server.plain(onnx, SpeedModels.LATENT)) {
      run(ours, raw(64, 1), warmUp);
      run(plain, raw(64, 1), warmUp);
      for (int turn = 0; turn < turns; turn++) {
        add("free model, 64 x 1: calls/s", run(ours, raw(64, 1), duration).callsPerSecond());
        add(
            "free model, 64 x 1: plain, calls/s",
            run(plain, raw(64, 1), duration).callsPerSecond());
        add("free model, 8 x 256: images/s", run(ours, raw(8, 256), duration).imagesPerSecond());
        add(
            "free model, 8 x 256: plain, images/s",
            run(plain, raw(8, 256), duration).imagesPerSecond());
      }
    }
    print();
  }

  private static List<Scenario> scenarios(int streamed) {
    return List.of(
        raw(64, 1),
        raw(8, 1),
        raw(8, 16),
        raw(64, 16),
        raw(8, 256),
        raw(64, 256),
        new Scenario(1, streamed, ImageFormat.IMAGE_FORMAT_RAW, true),
        new Scenario(64, 16, ImageFormat.IMAGE_FORMAT_PNG, false));
  }

  private Duration longEnough(Scenario scenario) {
    return scenario.callers * scenario.count > 4096 ? warmUp : duration;
  }

  private static int optimalBatchSize(byte[] onnx, ImageShape shape, int cores) throws Exception {
    int best = 1;
    double most = 0;
    for (int batch : new int[] {1, 2, 4, 8, 16, 32}) {
      try (BareLoop loop = new BareLoop(onnx, 64, shape, cores, batch)) {
        loop.imagesPerSecond(Duration.ofMillis(500));
        double rate = loop.imagesPerSecond(Duration.ofSeconds(1));
        System.out.printf("loop, batches of %d: %.0f images/s%n", batch, rate);
        if (rate > most) {
          most = rate;
          best = batch;
        }
      }
    }
    return best;
  }

  private static LoadReport run(Server server, Scenario scenario, Duration duration)
      throws IOException, InterruptedException {
    GenerateRequest template =
        GenerateRequest.newBuilder()
            .setSeed(System.nanoTime())
            .setCount(scenario.count)
            .setFormat(scenario.format)
            .build();
    var method =
        scenario.stream
            ? SamplerServiceGrpc.getGenerateStreamMethod()
            : SamplerServiceGrpc.getGenerateMethod();
    try (Connections connections = Connections.to(Target.plain("127.0.0.1:" + server.port), 1)) {
      LoadReport report =
          Load.run(
              new LoadPlan<>(
                  ResponseSummary.of(method, new ResponseReader(scenario.format)),
                  call -> template.toBuilder().setFirstIndex(call * scenario.count).build(),
                  scenario.count,
                  scenario.callers,
                  0,
                  duration.dividedBy(4),
                  duration,
                  scenario.stream ? Duration.ofMinutes(10) : TIMEOUT),
              connections.channels());
      if (report.succeeded() != report.calls()) {
        throw new IOException(scenario + ": " + report.errors());
      }
      return report;
    }
  }

  private void add(String figure, double value) {
    ratios.computeIfAbsent(figure, key -> new ArrayList<>()).add(value);
  }

  private void print() {
    ratios.forEach(
        (figure, values) -> {
          double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
          System.out.printf(
              "%-50s %10.3f   (%.3f to %.3f)%n",
              figure, sorted[sorted.length / 2], sorted[0], sorted[sorted.length - 1]);
        });
    ratios.clear();
  }

  private static Scenario raw(int callers, int count) {
    return new Scenario(callers, count, ImageFormat.IMAGE_FORMAT_RAW, false);
  }

  /** A server in its own process. */
  private static final class Server implements AutoCloseable {

    private final Process process;
    private final int port;

    private Server(Process process, int port) {
      this.process = process;
      this.port = port;
    }

    static Server sampler(Path program, Path onnx) throws IOException {
      Path repository = onnx.resolve("../../..").normalize();
      return start(
          List.of(
              program.toAbsolutePath().toString(),
              "serve",
              "--repository=" + repository,
              "--allow-unverified",
              "--port=0",
              "--http-port=0",
              "--drain-delay=0"),
          " serving ");
    }

    static Server plain(Path onnx, int latentSize) throws IOException {
      return start(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-cp",
              System.getProperty("java.class.path"),
              PlainService.class.getName(),
              onnx.toString(),
              Integer.toString(latentSize)),
          "gRPC");
    }

    private static Server start(List<String> command, String ready) throws IOException {
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      builder.environment().put("ORT_DISABLE_TELEMETRY", "1");
      Process process = builder.start();
      try {
        return new Server(process, port(process, ready));
      } catch (IOException e) {
        process.destroy();
        throw e;
      }
    }

    /** Reads the log until it has the port and the server is ready. */
    private static int port(Process process, String ready) throws IOException {
      BufferedReader lines = process.inputReader();
      int port = 0;
      boolean isReady = false;
      for (@Nullable String line = lines.readLine(); line != null; line = lines.readLine()) {
        System.out.println("  " + line);
        if (line.contains(" ERROR ")) {
          throw new IOException("cannot measure: the server does not serve its model");
        }
        Matcher found = PORT.matcher(line);
        if (found.find()) {
          port = Integer.parseInt(found.group(1));
        }
        isReady |= line.contains(ready);
        if (port > 0 && isReady) {
          Thread reader = new Thread(() -> printAll(lines));
          reader.setDaemon(true);
          reader.start();
          return port;
        }
      }
      throw new IOException("cannot measure: the server exited with " + process.exitValue());
    }

    private static void printAll(BufferedReader lines) {
      try {
        for (@Nullable String line = lines.readLine(); line != null; line = lines.readLine()) {
          System.out.println("  " + line);
        }
      } catch (IOException e) {
        // The server has stopped.
      }
    }

    @Override
    public void close() throws IOException {
      process.destroy();
      try {
        process.waitFor();
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
  }
}
