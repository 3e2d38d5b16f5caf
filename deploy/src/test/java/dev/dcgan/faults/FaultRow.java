package dev.dcgan.faults;

import com.google.errorprone.annotations.FormatMethod;
import java.util.ArrayList;
import java.util.List;

/** What one test reports in the table: how often the fault happened, and what was measured. */
final class FaultRow {

  private final String fault;

  // Mutable state. Only the thread of the test uses it.
  private final List<String> results = new ArrayList<>();
  private int times;
  private String checked = "";

  FaultRow(String fault) {
    this.fault = fault;
  }

  /** The fault has happened. */
  void count() {
    times++;
  }

  int times() {
    return times;
  }

  /** What every assertion of the test held for, in words. */
  void checked(String checked) {
    this.checked = checked;
  }

  /** Adds a figure. */
  @FormatMethod
  void result(String format, Object... arguments) {
    results.add(format.formatted(arguments));
  }

  /** The row in Markdown. */
  String line(String outcome) {
    List<String> cells = new ArrayList<>(List.of(outcome));
    cells.addAll(results);
    return "| %s | %s | %s | %s |"
        .formatted(fault, times == 0 ? "-" : times, checked, String.join("; ", cells));
  }
}
