package dev.dcgan.e2e;

import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The metrics that are named: in queries, in prose and files, and in what /metrics serves. */
final class MetricNames {

  // What is no metric: strings, label matchers and ranges; labels that are grouped or joined by;
  // numbers.
  private static final Pattern NO_METRICS =
      Pattern.compile(
          "\\{(?:\"[^\"]*\"|[^}\"])*}|\"[^\"]*\"|\\[[^\\]]*]"
              + "|\\b(by|without|on|ignoring|group_left|group_right)\\s*\\([^)]*\\)"
              + "|\\b(offset|@)\\s*[^\\s)]+|\\b\\d[\\w.]*");
  // A function or aggregation has its parenthesis, or comes before `by`, which leaves that of the
  // operand.
  private static final Pattern NAME = Pattern.compile("[a-zA-Z_:][\\w:]*(?!\\s*\\(|[\\w:])");
  private static final Set<String> WORDS =
      Set.of("and", "or", "unless", "bool", "offset", "group_left", "group_right", "inf", "nan");
  private static final Pattern IN_PROSE =
      Pattern.compile(
          "\\b(?:sampler|trainer|grpc_server|http_server|jvm|process)_[a-z0-9_]*[a-z0-9]\\b");
  private static final Pattern SAMPLE = Pattern.compile("(?m)^([a-zA-Z_:][\\w:]*)[{ ]");

  private MetricNames() {}

  /** Those of a PromQL expression. */
  static Set<String> inQuery(String expression) {
    return all(NAME, NO_METRICS.matcher(expression).replaceAll(" "), 0);
  }

  /** What begins as ours do, in any text. */
  static Set<String> inText(String text) {
    return all(IN_PROSE, text, 0);
  }

  /** Those that there are samples of, in Prometheus's text format. */
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
