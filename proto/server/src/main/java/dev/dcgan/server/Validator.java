package dev.dcgan.server;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Validates an operator's settings and collects the errors, so that all are reported at once. */
public final class Validator {

  private static final String NO_TELEMETRY = "ORT_DISABLE_TELEMETRY";

  private final List<String> errors = new ArrayList<>();

  /** Adds an error of one line: what was found, what was expected, what to do. */
  public void add(String error) {
    errors.add(error);
  }

  /** Requires {@code min <= value <= max} for the option's value. */
  public void requireRange(String option, long value, long min, long max) {
    if (value < min || value > max) {
      add("%s %d: expected %d to %d".formatted(option, value, min, max));
    }
  }

  /**
   * Requires that the option's value satisfies a rule.
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
   * Requires that ONNX Runtime's telemetry is disabled. The native library reads the environment
   * variable when it is loaded, before any call of its API.
   *
   * @param launcher the script that sets the variable
   */
  public void requireNoTelemetry(String launcher) {
    require(
        "1".equals(System.getenv(NO_TELEMETRY)),
        "%s is not 1, so ONNX Runtime would send telemetry; start the program with %s or set it"
            .formatted(NO_TELEMETRY, launcher));
  }

  /** Adds the error unless the condition is true. */
  public void require(boolean condition, String error) {
    if (!condition) {
      add(error);
    }
  }

  /** Reads an option's file. The exception's message is written for operators. */
  public interface Reading {
    Object read() throws IOException;
  }

  /** Requires that the option's file can be read. Returns whether it can. */
  @CanIgnoreReturnValue // Most callers need only the error.
  public boolean requireReadable(String option, Reading reading) {
    try {
      reading.read();
      return true;
    } catch (IOException e) {
      add(option + " " + e.getMessage());
      return false;
    }
  }

  List<String> errors() {
    return errors;
  }
}
