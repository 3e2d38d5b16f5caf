package dev.dcgan.faults;

import dev.dcgan.e2e.Program;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.stream.Stream;

/**
 * A program that serves, and a channel to it.
 *
 * @param httpPort of its metrics
 */
record Service(Program program, int grpcPort, int httpPort, ManagedChannel channel)
    implements AutoCloseable {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final long PATIENCE_SECONDS = 120;

  /** Something to wait for. */
  interface Condition {
    boolean holds() throws IOException, InterruptedException;
  }

  /** Starts {@code sampler serve}; returns when its ports are open. */
  static Service sampler(Path folder, String... options) throws IOException, InterruptedException {
    return start(
        folder, with(Programs.sampler("serve", "--poll=200ms", "--drain-delay=0"), options));
  }

  /** Starts {@code trainer serve}; returns when its ports are open. */
  static Service trainer(Path folder, String... options) throws IOException, InterruptedException {
    return start(folder, with(Programs.trainer("serve", "--device=cpu"), options));
  }

  static Service start(Path folder, List<String> command) throws IOException, InterruptedException {
    Program program = Program.start(folder, with(command, "--port=0", "--http-port=0"));
    try {
      Matcher ports = program.awaitLine("gRPC on port (\\d+), metrics on http://localhost:(\\d+)/");
      return new Service(
          program,
          Integer.parseInt(ports.group(1)),
          Integer.parseInt(ports.group(2)),
          Grpc.newChannelBuilder("localhost:" + ports.group(1), InsecureChannelCredentials.create())
              .build());
    } catch (InterruptedException | RuntimeException | Error e) {
      program.close();
      throw e;
    }
  }

  /** The sum of a metric, over all its series that have these labels; 0 if there is none. */
  double metric(String name, String... labels) throws IOException, InterruptedException {
    HttpResponse<String> response =
        HTTP.send(
            HttpRequest.newBuilder(URI.create("http://localhost:" + httpPort + "/metrics")).build(),
            HttpResponse.BodyHandlers.ofString());
    return response
        .body()
        .lines()
        .filter(line -> line.startsWith(name + "{") || line.startsWith(name + " "))
        .filter(line -> Stream.of(labels).allMatch(line::contains))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .sum();
  }

  static void await(String what, Condition condition) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!condition.holds()) {
      if (System.nanoTime() - deadline > 0) {
        throw new AssertionError("no " + what + " within " + PATIENCE_SECONDS + " s");
      }
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  /** Kills the program. */
  @Override
  public void close() {
    channel.shutdownNow();
    program.close();
  }

  private static List<String> with(List<String> command, String... options) {
    List<String> all = new ArrayList<>(command);
    all.addAll(Arrays.asList(options));
    return all;
  }
}
