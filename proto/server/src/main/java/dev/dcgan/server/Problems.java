package dev.dcgan.server;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Collects what is wrong with an operator's settings, so that all of it is reported at once. */
public final class Problems {

  private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

  private final List<String> lines = new ArrayList<>();

  /** Adds one line: what was found, what was expected, what to do. */
  public void add(String line) {
    lines.add(line);
  }

  /** Requires {@code min <= value <= max} of the option. */
  public void requireRange(String option, long value, long min, long max) {
    if (value < min || value > max) {
      add("%s %d: expected %d to %d".formatted(option, value, min, max));
    }
  }

  /**
   * Requires that the option's value follow a rule.
   *
   * @param value null if the option was not given, which is valid
   * @param expected the rule in words
   */
  public void requireMatches(
      String option, @Nullable String value, Predicate<String> rule, String expected) {
    require(
        value == null || rule.test(value),
        "%s '%s': expected %s".formatted(option, value, expected));
  }

  /** Requires a TCP port, or 0 for any free one. */
  public void requirePort(String option, int port) {
    requireRange(option, port, 0, 65_535);
  }

  /**
   * Requires that ONNX Runtime's telemetry is off. Its native library reads the variable when it is
   * loaded: nothing in its API is early enough.
   *
   * @param launcher the script that sets the variable
   */
  public void requireNoTelemetry(String launcher) {
    require(
        "1".equals(System.getenv(NO_TELEMETRY)),
        "%s is not 1: ONNX Runtime would send telemetry; start with %s, or set it"
            .formatted(NO_TELEMETRY, launcher));
  }

  /** Requires that {@code found} be true, or adds the line. */
  public void require(boolean found, String line) {
    if (!found) {
      add(line);
    }
  }

  /** Reads an option's file; fails with a line for operators. */
  interface Reading {
    Object read() throws IOException;
  }

  /** Requires that the option's file can be read, or adds what it failed by; returns whether. */
  boolean requireReads(String option, Reading reading) {
    try {
      reading.read();
      return true;
    } catch (IOException e) {
      add(option + " " + e.getMessage());
      return false;
    }
  }

  List<String> lines() {
    return lines;
  }
}
