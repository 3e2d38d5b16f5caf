package dev.dcgan.e2e;

import static dev.dcgan.e2e.Program.assumeRuns;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.deploy.Dashboard.Target;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Tests dashboards, rules and documentation against both running programs and a real Prometheus:
 * every query of a dashboard returns data, every rule is evaluated, and every metric that a file
 * names is served.
 */
class WatchIT {

  private static final Path DEPLOY = Path.of(".");
  private static final List<Path> DOCUMENTS =
      List.of(
          Path.of("../README.md"),
          Path.of("../trainer/README.md"),
          Path.of("../sampler/README.md"),
          Path.of("README.md"),
          Path.of("RUNBOOK.md"));
  // Metrics of Prometheus itself.
  private static final Set<String> OF_PROMETHEUS = Set.of("up", "ALERTS");
  private static final Pattern OURS = Pattern.compile("(sampler|trainer|grpc|http)_.*");
  private static final Pattern LABEL_VALUES = Pattern.compile("label_values\\((.+), (\\w+)\\)");

  @TempDir private static Path folder;

  private static TestDeployment deployment;

  @BeforeAll
  static void start() throws Exception {
    assumeRuns("prometheus", "prometheus", "--version");
    deployment = new TestDeployment(folder);
    deployment.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    if (deployment != null) {
      deployment.stop();
    }
  }

  static List<Dashboard> dashboards() throws IOException {
    return Dashboard.all();
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void everyQuery_hasValues(Dashboard dashboard) throws Exception {
    Map<String, String> queries = queries(dashboard);
    assertThat(queries).hasSizeGreaterThan(40);

    for (Map.Entry<String, String> query : queries.entrySet()) {
      deployment.await("values of " + query, () -> deployment.isSeen(query.getValue()));
    }
  }

  @Test
  void everyRule_isEvaluatedWithoutError() throws Exception {
    deployment.await(
        "first evaluation of all rules",
        () ->
            deployment.prometheus().rules().stream()
                .noneMatch(rule -> health(rule).equals("unknown")));

    List<JsonObject> rules = deployment.prometheus().rules();
    assertThat(rules).hasSizeGreaterThan(20);
    assertThat(rules).allMatch(rule -> health(rule).equals("ok"));
    deployment.await(
        "alert of the rejected version",
        () -> deployment.isSeen("ALERTS{alertname=\"SamplerModelRejected\"}"));
  }

  @Test
  void everyNamedMetric_isServed() throws Exception {
    Set<String> known = known();
    Map<String, Set<String>> named = named();

    assertThat(named).hasSizeGreaterThan(80);
    assertThat(unknown(named, known)).isEmpty();

    // The check finds misspelled names.
    Map<String, Set<String>> mistyped = new LinkedHashMap<>();
    mistyped.put("a panel", MetricNames.inQuery("sum(rate(sampler_image_total[1m]))"));
    mistyped.put("an autoscaler", MetricNames.inText("metric: {name: sampler_queud_images}"));
    assertThat(unknown(mistyped, known))
        .containsExactly("a panel: sampler_image_total", "an autoscaler: sampler_queud_images");
  }

  @Test
  void everyServedMetric_isDocumented() throws Exception {
    for (String program : List.of("sampler", "trainer")) {
      Matcher section =
          Pattern.compile("(?ms)^## Metrics$(.*?)(^## |\\z)")
              .matcher(Files.readString(Path.of("..", program, "README.md")));
      assertThat(section.find()).as(program).isTrue();
      Set<String> documented = MetricNames.inText(section.group(1));
      Set<String> served =
          bases(
              deployment
                  .prometheus()
                  .labelValues("__name__", "{job=\"dcgan-%s\"}".formatted(program)));
      served.removeIf(name -> !OURS.matcher(name).matches());

      assertThat(served).as(program).hasSizeGreaterThan(15);
      assertThat(documented).as(program).containsAll(served);
    }
  }

  // --- the queries of a dashboard, as Grafana sends them ---

  /** The queries, by the panel or annotation that has them. */
  private static Map<String, String> queries(Dashboard dashboard) throws Exception {
    Map<String, String> variables = variables(dashboard);
    Map<String, String> queries = new LinkedHashMap<>();
    for (Panel panel : dashboard.panels()) {
      for (Target target : panel.targets()) {
        queries.put(
            dashboard + ", " + panel.title() + ", " + target.refId(),
            filled(target.expression(), variables));
      }
    }
    for (JsonObject annotation : dashboard.annotations()) {
      queries.put(
          dashboard + ", annotation " + annotation.get("name").getAsString(),
          filled(annotation.get("expr").getAsString(), variables));
    }
    return queries;
  }

  /** The values of the template variables: everything that their queries find. */
  private static Map<String, String> variables(Dashboard dashboard) throws Exception {
    Map<String, String> variables = new LinkedHashMap<>();
    // Grafana would take 4 scrape intervals; on a busy machine some scrapes are late.
    variables.put("$__rate_interval", "8s");
    variables.put("$__interval", "1s");
    for (JsonObject variable : dashboard.variables()) {
      Matcher query =
          LABEL_VALUES.matcher(
              filled(variable.getAsJsonObject("query").get("query").getAsString(), variables));
      assertThat(query.matches()).as(variable.toString()).isTrue();
      List<String> values = deployment.prometheus().labelValues(query.group(2), query.group(1));
      assertThat(values).as(query.group()).isNotEmpty();
      variables.put("$" + variable.get("name").getAsString(), "(" + String.join("|", values) + ")");
    }
    return variables;
  }

  private static String filled(String expression, Map<String, String> variables) {
    String filled = expression;
    for (Map.Entry<String, String> variable : variables.entrySet()) {
      filled = filled.replace(variable.getKey(), variable.getValue());
    }
    assertThat(filled).doesNotContain("$");
    return filled;
  }

  private static String health(JsonObject rule) {
    return rule.get("health").getAsString();
  }

  // --- the metrics that files name, and those that are served ---

  /** The metrics by the place that names them. */
  private static Map<String, Set<String>> named() throws Exception {
    Map<String, Set<String>> named = new LinkedHashMap<>();
    for (Dashboard dashboard : dashboards()) {
      queries(dashboard).forEach((where, query) -> named.put(where, MetricNames.inQuery(query)));
    }
    for (JsonObject rule : deployment.prometheus().rules()) {
      named.put(
          "rule " + rule.get("name").getAsString(),
          MetricNames.inQuery(rule.get("query").getAsString()));
    }
    // The autoscaler, its adapter, the texts of the rules ...
    try (Stream<Path> files = Files.walk(DEPLOY)) {
      for (Path file :
          files.filter(path -> path.toString().matches("\\./(?!src|target).*\\.ya?ml")).toList()) {
        named.put(file.toString(), MetricNames.inText(Files.readString(file)));
      }
    }
    for (Path document : DOCUMENTS) {
      String prose = Files.readString(document).replaceAll("(?s)```.*?```", "");
      named.put(document.toString(), MetricNames.inText(prose));
    }
    return named;
  }

  private static Set<String> known() throws Exception {
    List<String> names = deployment.prometheus().labelValues("__name__", "{__name__!=\"\"}");
    Set<String> known = bases(names);
    known.addAll(names);
    known.addAll(OF_PROMETHEUS);
    // The names of recording rules have colons, so that the text of a file shows their parts.
    for (JsonObject rule : deployment.prometheus().rules()) {
      known.add(rule.get("name").getAsString());
      known.addAll(MetricNames.inText(rule.get("name").getAsString()));
    }
    return known;
  }

  private static List<String> unknown(Map<String, Set<String>> named, Set<String> known) {
    return named.entrySet().stream()
        .flatMap(
            where ->
                where.getValue().stream()
                    .filter(name -> !known.contains(name))
                    .map(name -> where.getKey() + ": " + name))
        .toList();
  }

  /** The names, with the parts of a histogram replaced by its own name. */
  private static Set<String> bases(List<String> names) {
    return names.stream()
        .map(
            name -> {
              String base = name.replaceFirst("_(bucket|sum|count)$", "");
              return names.contains(base + "_bucket") ? base : name;
            })
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
