package dev.dcgan.sampler.cli.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.sampler.cli.client.LoadReport.Errors;
import dev.dcgan.sampler.cli.client.LoadReport.Latency;
import dev.dcgan.server.Settings;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import io.grpc.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command over a socket; SamplerMainTest covers its errors. */
class BenchCommandTest {

  private static final LoadReport REPORT =
      new LoadReport(
          2,
          1003,
          1000,
          1234.56,
          500.25,
          987654.4,
          new Latency(1.5, 2.25, 3.125, 4.0625, 5.5),
          new TreeMap<>(Map.of("INTERNAL", new Errors(3, "say \"fault\"\nand more"))));

  @TempDir private Path root;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private FakeSampler server;

  @BeforeEach
  void serve() throws IOException {
    server = FakeSampler.start();
  }

  @AfterEach
  void end() {
    server.close();
  }

  @Test
  void bench_printsATableAndWritesTheSameAsJson() throws IOException {
    Path json = root.resolve("result.json");
    int exitCode =
        bench(
            "--count",
            "3",
            "--seed",
            "7",
            "--model",
            "black",
            "--priority",
            "high",
            "--json",
            json.toString());

    assertThat(exitCode).isZero();
    Struct result = parse(Files.readString(json));
    assertThat(out.toString(StandardCharsets.UTF_8).lines())
        .hasSize(11)
        .first()
        .asString()
        .startsWith(
            "target %s, model black/1, provider cpu, mode closed, ".formatted(server.target()))
        .contains("seed 7");
    assertThat(
            out.toString(StandardCharsets.UTF_8)
                .lines()
                .skip(1)
                .map(line -> line.substring(0, line.indexOf(' '))))
        .containsExactly(
            "images/s",
            "calls/s",
            "bytes/s",
            "p50,",
            "p90,",
            "p99,",
            "p99.9,",
            "max,",
            "calls",
            "succeeded");
    assertThat(number(result, "calls")).isPositive().isEqualTo(number(result, "succeeded"));
    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("%-14s %12.1f".formatted("images/s", number(result, "images_per_second")));
    assertThat(server.firstIndices()).doesNotHaveDuplicates();
    assertThat(server.requests)
        .extracting(GenerateRequest::getSeed, GenerateRequest::getCount, GenerateRequest::getModel)
        .containsOnly(tuple(7L, 3, "black"));
    assertThat(server.requests)
        .extracting(GenerateRequest::getFormat)
        .containsOnly(ImageFormat.IMAGE_FORMAT_RAW);
    assertThat(server.requests)
        .extracting(GenerateRequest::getPriority)
        .containsOnly(Priority.PRIORITY_HIGH);
  }

  @Test
  void bench_openAndOverSeveralConnections() {
    assertThat(bench("--mode", "open", "--rate", "200", "--connections", "3")).isZero();
  }

  @Test
  void bench_ofStreams() {
    assertThat(bench("--stream", "--count", "5", "--connections", "2", "--timeout", "0")).isZero();
  }

  @Test
  void bench_whereNoCallSucceeds_fails() throws IOException {
    Path json = root.resolve("result.json");
    server.behave(
        (request, observer) -> {
          if (request.getFirstIndex() > Long.MAX_VALUE / 2) {
            FakeSampler.respond(request, observer); // The call before the load.
          } else {
            observer.onError(Status.INTERNAL.withDescription("a fault").asRuntimeException());
          }
        });

    assertThat(bench("--json", json.toString())).isEqualTo(1);
    assertThat(out.toString(StandardCharsets.UTF_8).lines()).hasSize(1);
    Struct result = parse(Files.readString(json));
    assertThat(number(result, "succeeded")).isZero();
    assertThat(
            result
                .getFieldsOrThrow("errors")
                .getStructValue()
                .getFieldsOrThrow("INTERNAL")
                .getStructValue()
                .getFieldsOrThrow("first_message")
                .getStringValue())
        .isEqualTo("a fault");
  }

  @Test
  void table_hasTheNumbersOfTheReport() {
    assertThat(LoadTable.lines(REPORT))
        .containsExactly(
            "images/s             1234.6",
            "calls/s               500.3",
            "bytes/s              987654",
            "p50, ms               1.500",
            "p90, ms               2.250",
            "p99, ms               3.125",
            "p99.9, ms             4.063",
            "max, ms               5.500",
            "calls                  1003",
            "succeeded              1000",
            "INTERNAL                  3  first: say \"fault\" and more");
  }

  @Test
  void json_hasTheNumbersOfTheReport() throws IOException {
    Struct result = parse(LoadTable.json(Map.of("target", "a:1", "stream", true), REPORT));

    assertThat(result.getFieldsOrThrow("target").getStringValue()).isEqualTo("a:1");
    assertThat(result.getFieldsOrThrow("stream").getBoolValue()).isTrue();
    assertThat(number(result, "images_per_second")).isEqualTo(1234.56);
    assertThat(number(result, "calls_per_second")).isEqualTo(500.25);
    assertThat(number(result, "bytes_per_second")).isEqualTo(987654.4);
    assertThat(number(result, "calls")).isEqualTo(1003);
    assertThat(number(result, "succeeded")).isEqualTo(1000);
    Struct latency = result.getFieldsOrThrow("latency_ms").getStructValue();
    assertThat(latency.getFieldsMap()).containsOnlyKeys("p50", "p90", "p99", "p99.9", "max");
    assertThat(number(latency, "p99.9")).isEqualTo(4.0625);
    Struct internal =
        result
            .getFieldsOrThrow("errors")
            .getStructValue()
            .getFieldsOrThrow("INTERNAL")
            .getStructValue();
    assertThat(number(internal, "count")).isEqualTo(3);
    assertThat(internal.getFieldsOrThrow("first_message").getStringValue())
        .isEqualTo("say \"fault\"\nand more");
  }

  /** Briefly, with all else by default; the first calls count, however long they take. */
  private int bench(String... options) {
    List<String> arguments = new ArrayList<>(List.of("--target", server.target()));
    arguments.addAll(List.of("--duration", "200ms", "--warm-up", "0"));
    arguments.addAll(List.of(options));
    PrintStream console = new PrintStream(out, true, StandardCharsets.UTF_8);
    return Settings.run(new BenchCommand(console), arguments.toArray(String[]::new));
  }

  private static Struct parse(String json) throws IOException {
    Struct.Builder parsed = Struct.newBuilder();
    JsonFormat.parser().merge(json, parsed);
    return parsed.build();
  }

  private static double number(Struct object, String field) {
    return object.getFieldsOrThrow(field).getNumberValue();
  }
}
