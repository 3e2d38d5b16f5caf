package dev.dcgan.sampler.graph;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A node of a graph.
 *
 * @param inputs names of values; empty: an optional input is absent
 */
record Node(
    String name,
    String operator,
    List<String> inputs,
    List<String> outputs,
    Map<String, Attribute> attributes) {

  /** An attribute, of which one component is set. */
  record Attribute(
      long number,
      double real,
      String text,
      List<Long> numbers,
      List<Double> reals,
      @Nullable Tensor tensor) {}

  /** As error messages name it. */
  @Override
  public String toString() {
    String shown = name.isEmpty() && !outputs.isEmpty() ? outputs.get(0) : name;
    return "node '%s' (%s)".formatted(excerpt(shown), excerpt(operator));
  }

  /** A name in a file, short and on one line. */
  static String excerpt(String text) {
    String shown = text.length() > 60 ? text.substring(0, 60) + "..." : text;
    return shown.replaceAll("\\p{Cntrl}", "?");
  }
}
