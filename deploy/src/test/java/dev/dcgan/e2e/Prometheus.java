package dev.dcgan.e2e;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A running Prometheus server and its HTTP API. */
final class Prometheus {

  /**
   * A sample.
   *
   * @param time in Unix seconds
   */
  record Point(double time, double value) {}

  /** The samples of one set of labels, in order of time. */
  record Series(Map<String, String> labels, List<Point> points) {

    boolean hasValues() {
      return points.stream().anyMatch(point -> Double.isFinite(point.value));
    }
  }

  /** A range of time in Unix seconds, and the step of a query in seconds. */
  record Span(double start, double end, double step) {}

  private final HttpClient http = HttpClient.newHttpClient();
  private final Program program;
  private final int port;

  private Prometheus(Program program, int port) {
    this.program = program;
    this.port = port;
  }

  /** Starts with {@code prometheus.yml} of the folder, on any free port. */
  static Prometheus start(Path folder) throws IOException, InterruptedException {
    Program program =
        Program.start(
            folder,
            List.of(
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=tsdb",
                "--web.listen-address=127.0.0.1:0"));
    try {
      int port =
          Integer.parseInt(program.awaitLine("Listening on.* address=127.0.0.1:(\\d+)").group(1));
      program.awaitLine("ready to receive web requests");
      return new Prometheus(program, port);
    } catch (InterruptedException | RuntimeException | Error e) {
      program.close();
      throw e;
    }
  }

  /**
   * Runs a range query, as a panel does.
   *
   * @throws IllegalArgumentException with the message of Prometheus, if the query is invalid
   */
  List<Series> range(String expression, Span span) throws IOException, InterruptedException {
    JsonObject data =
        get(
                "query_range?query=%s&start=%.3f&end=%.3f&step=%s"
                    .formatted(encoded(expression), span.start, span.end, span.step),
                expression)
            .getAsJsonObject();
    List<Series> found = new ArrayList<>();
    for (JsonElement series : data.getAsJsonArray("result")) {
      List<Point> points = new ArrayList<>();
      for (JsonElement element : series.getAsJsonObject().getAsJsonArray("values")) {
        JsonArray point = element.getAsJsonArray();
        points.add(new Point(point.get(0).getAsDouble(), number(point.get(1).getAsString())));
      }
      Map<String, String> labels = new LinkedHashMap<>();
      series
          .getAsJsonObject()
          .getAsJsonObject("metric")
          .entrySet()
          .forEach(label -> labels.put(label.getKey(), label.getValue().getAsString()));
      found.add(new Series(labels, points));
    }
    return found;
  }

  /** The sorted values of a label in the series that the selector matches. */
  List<String> labelValues(String label, String selector) throws IOException, InterruptedException {
    List<String> values = new ArrayList<>();
    get("label/" + label + "/values?match%5B%5D=" + encoded(selector), selector)
        .getAsJsonArray()
        .forEach(value -> values.add(value.getAsString()));
    return values;
  }

  /** All rules of all groups, as /api/v1/rules returns them. */
  List<JsonObject> rules() throws IOException, InterruptedException {
    List<JsonObject> rules = new ArrayList<>();
    for (JsonElement group : get("rules", "rules").getAsJsonObject().getAsJsonArray("groups")) {
      group
          .getAsJsonObject()
          .getAsJsonArray("rules")
          .forEach(rule -> rules.add(rule.getAsJsonObject()));
    }
    return rules;
  }

  /**
   * Waits until the only target was scraped, however slow this machine is; returns why that failed,
   * empty if it did not.
   */
  String awaitScrape() throws IOException, InterruptedException {
    while (true) {
      JsonArray targets =
          get("targets", "targets").getAsJsonObject().getAsJsonArray("activeTargets");
      if (!targets.isEmpty()) { // Not before the first discovery.
        JsonObject target = targets.get(0).getAsJsonObject();
        String error = target.get("lastError").getAsString();
        if (!target.get("health").getAsString().equals("unknown")
            && !error.contains("deadline exceeded")) {
          return error;
        }
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }

  /** Stops the server; when it returns, the server no longer writes to its folder. */
  void stop() throws InterruptedException {
    program.close();
    program.awaitExit();
  }

  private JsonElement get(String path, String query) throws IOException, InterruptedException {
    HttpResponse<String> response =
        http.send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/api/v1/" + path))
                .timeout(Duration.ofMinutes(1))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    JsonObject body = JsonParser.parseString(response.body()).getAsJsonObject();
    if (response.statusCode() != 200) {
      throw new IllegalArgumentException(query + ": " + body.get("error").getAsString());
    }
    return body.get("data");
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static double number(String text) {
    return switch (text) {
      case "+Inf" -> Double.POSITIVE_INFINITY;
      case "-Inf" -> Double.NEGATIVE_INFINITY;
      default -> Double.parseDouble(text);
    };
  }
}
