package dev.dcgan.sampler.http;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** The media types that a client accepts (RFC 9110, 12.5.1). */
final class Accept {

  private Accept() {}

  /**
   * Whether a client accepts a type: the most specific range that includes it has a weight above 0.
   *
   * @param headers the values of the headers {@code Accept}; none: everything
   */
  static boolean allows(List<String> headers, String type) {
    String group = type.substring(0, type.indexOf('/')) + "/*";
    List<String[]> ranges =
        headers.stream()
            .flatMap(value -> Stream.of(value.split(",")))
            .map(range -> range.strip().toLowerCase(Locale.ROOT).split("\\s*;\\s*"))
            .filter(range -> !range[0].isEmpty())
            .toList();
    // Old clients, such as those of the JDK, write * for everything.
    ranges.stream().filter(range -> range[0].equals("*")).forEach(range -> range[0] = "*/*");
    if (ranges.isEmpty()) {
      return true;
    }
    for (String name : List.of(type, group, "*/*")) {
      List<String[]> including = ranges.stream().filter(range -> range[0].equals(name)).toList();
      if (!including.isEmpty()) {
        return including.stream().anyMatch(Accept::hasWeight);
      }
    }
    return false;
  }

  /** Whether the weight is above 0; one that is no number counts as 1, because some clients err. */
  private static boolean hasWeight(String[] range) {
    return Stream.of(range).noneMatch(parameter -> parameter.matches("q\\s*=\\s*0(\\.0*)?"));
  }
}
