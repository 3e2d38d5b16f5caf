package dev.dcgan.e2e;

import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Finds the names of metrics in queries, in prose and files, and in the text of /metrics. */
final class MetricNames {

  // Parts of a query that are not metrics: strings, label matchers and ranges; labels of groupings
  // and joins; numbers.
  private static final Pattern NO_METRICS =
      Pattern.compile(
          "\\{(?:\"[^\"]*\"|[^}\"])*}|\"[^\"]*\"|\\[[^\\]]*]"
              + "|\\b(by|without|on|ignoring|group_left|group_right)\\s*\\([^)]*\\)"
              + "|\\b(offset|@)\\s*[^\\s)]+|\\b\\d[\\w.]*");
  // A function or aggregation is followed by a parenthesis, or by `by`, after which the parenthesis
  // of the operand remains.
  private static final Pattern NAME = Pattern.compile("[a-zA-Z_:][\\w:]*(?!\\s*\\(|[\\w:])");
  private static final Set<String> WORDS =
      Set.of("and", "or", "unless", "bool", "offset", "group_left", "group_right", "inf", "nan");
  private static final Pattern IN_PROSE =
      Pattern.compile(
          "\\b(?:sampler|trainer|grpc_server|http_server|jvm|process)_[a-z0-9_]*[a-z0-9]\\b");
  private static final Pattern SAMPLE = Pattern.compile("(?m)^([a-zA-Z_:][\\w:]*)[{ ]");

  private MetricNames() {}

  /** The metrics of a PromQL expression. */
  static Set<String> inQuery(String expression) {
    return all(NAME, NO_METRICS.matcher(expression).replaceAll(" "), 0);
  }

  /** The words in any text that have a prefix of our metrics. */
  static Set<String> inText(String text) {
    return all(IN_PROSE, text, 0);
  }

  /** The metrics with samples in a text of Prometheus's exposition format. */
  static Set<String> served(String metrics) {
    return all(SAMPLE, metrics, 1);
  }

  private static Set<String> all(Pattern pattern, String text, int group) {
    Set<String> names = new TreeSet<>();
    for (Matcher matcher = pattern.matcher(text); matcher.find(); ) {
      String name = matcher.group(group);
      if (!WORDS.contains(name)) {
        names.add(name);
      }
    }
    return names;
  }
}
