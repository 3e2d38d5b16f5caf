package dev.dcgan.sampler.cli.client;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.sampler.cli.client.LoadReport.Latency;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Formats a report as text and as JSON. */
final class LoadTable {

  private LoadTable() {}

  static List<String> lines(LoadReport report) {
    List<String> lines = new ArrayList<>();
    lines.add("%-14s %12.1f".formatted("images/s", report.imagesPerSecond()));
    lines.add("%-14s %12.1f".formatted("calls/s", report.callsPerSecond()));
    lines.add("%-14s %12.0f".formatted("bytes/s", report.bytesPerSecond()));
    latencies(report.latency())
        .forEach((name, ms) -> lines.add("%-14s %12.3f".formatted(name + ", ms", ms)));
    lines.add("%-14s %12d".formatted("calls", report.calls()));
    lines.add("%-14s %12d".formatted("succeeded", report.succeeded()));
    report
        .errors()
        .forEach(
            (code, errors) ->
                lines.add(
                    "%-14s %12d  first: %s"
                        .formatted(code, errors.count(), oneLine(errors.firstMessage()))));
    return lines;
  }

  /**
   * Formats one JSON object.
   *
   * @param options of the load test: strings, booleans and numbers by name
   */
  static String json(Map<String, Object> options, LoadReport report) {
    Struct.Builder errors = Struct.newBuilder();
    report
        .errors()
        .forEach(
            (code, error) ->
                errors.putFields(
                    code,
                    object(Map.of("count", error.count(), "first_message", error.firstMessage()))));
    Map<String, Object> all = new LinkedHashMap<>(options);
    all.put("images_per_second", report.imagesPerSecond());
    all.put("calls_per_second", report.callsPerSecond());
    all.put("bytes_per_second", report.bytesPerSecond());
    all.put("latency_ms", object(latencies(report.latency())));
    all.put("calls", report.calls());
    all.put("succeeded", report.succeeded());
    all.put("errors", Value.newBuilder().setStructValue(errors).build());
    try {
      return JsonFormat.printer().print(object(all)) + "\n";
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalArgumentException("cannot format the report as JSON", e);
    }
  }

  /** Messages of servers may have line breaks. */
  static String oneLine(String message) {
    return message.replaceAll("\\s*\\R\\s*", " ");
  }

  private static Map<String, Double> latencies(Latency latency) {
    Map<String, Double> named = new LinkedHashMap<>();
    named.put("p50", latency.p50());
    named.put("p90", latency.p90());
    named.put("p99", latency.p99());
    named.put("p99.9", latency.p999());
    named.put("max", latency.max());
    return named;
  }

  private static Value object(Map<String, ?> fields) {
    Struct.Builder object = Struct.newBuilder();
    fields.forEach((name, value) -> object.putFields(name, value(value)));
    return Value.newBuilder().setStructValue(object).build();
  }

  private static Value value(Object value) {
    Value.Builder built = Value.newBuilder();
    if (value instanceof Value made) {
      return made;
    } else if (value instanceof Boolean truth) {
      return built.setBoolValue(truth).build();
    } else if (value instanceof Number number) {
      return built.setNumberValue(number.doubleValue()).build();
    }
    return built.setStringValue(value.toString()).build();
  }
}
