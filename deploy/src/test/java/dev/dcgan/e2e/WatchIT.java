package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.deploy.Dashboard.Target;
import dev.dcgan.e2e.Prometheus.Span;
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
 * What watches both programs, against both at work: every query of the dashboards and of the rules
 * is asked, in a real Prometheus, and every metric that is named anywhere is served.
 *
 * <p>Leaves a picture of each dashboard in {@code target/}. With {@code -Dwatch.demo=true} the run
 * takes minutes and the pictures have more to show: those of the README are made so.
 */
class WatchIT {

  private static final Path DEPLOY = Path.of(".");
  private static final Path README = Path.of("../README.md");
  // Prometheus's own: of every target, and of alerts.
  private static final Set<String> PROMETHEUS_OWN = Set.of("up", "ALERTS");
  private static final Pattern OURS = Pattern.compile("(sampler|trainer|grpc|http)_.*");
  private static final Pattern LABEL_VALUES = Pattern.compile("label_values\\((.+), (\\w+)\\)");

  @TempDir private static Path folder;

  private static TestDeployment house;

  @BeforeAll
  static void watchBothAtWork() throws Exception {
    assumePrometheus();
    house = new TestDeployment(folder, Boolean.getBoolean("watch.demo"));
    house.start();
  }

  @AfterAll
  static void stop() throws InterruptedException {
    if (house != null) {
      house.stop();
    }
  }

  static List<Dashboard> dashboards() throws IOException {
    return Dashboard.all();
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void everyQuery_hasFigures(Dashboard dashboard) throws Exception {
    Map<String, String> queries = queries(dashboard);
    assertThat(queries).hasSizeGreaterThan(40);

    for (Map.Entry<String, String> query : queries.entrySet()) {
      house.await("figures of " + query, () -> house.isSeen(query.getValue()));
    }
  }

  @Test
  void everyRule_isEvaluatedWithoutError() throws Exception {
    house.await(
        "first evaluation of all rules",
        () ->
            house.prometheus().rules().stream().noneMatch(rule -> health(rule).equals("unknown")));

    List<JsonObject> rules = house.prometheus().rules();
    assertThat(rules).hasSizeGreaterThan(20);
    assertThat(rules).allMatch(rule -> health(rule).equals("ok"));
    house.await(
        "alert of the rejected version",
        () -> house.isSeen("ALERTS{alertname=\"SamplerModelRejected\"}"));
  }

  @Test
  void everyMetricThatIsNamed_isServed() throws Exception {
    Set<String> known = known();
    Map<String, Set<String>> named = named();

    assertThat(named).hasSizeGreaterThan(80);
    assertThat(unknown(named, known)).isEmpty();

    // The check bites.
    Map<String, Set<String>> mistyped = new LinkedHashMap<>();
    mistyped.put("a panel", MetricNames.inQuery("sum(rate(sampler_image_total[1m]))"));
    mistyped.put("an autoscaler", MetricNames.inText("metric: {name: sampler_queud_images}"));
    assertThat(unknown(mistyped, known))
        .containsExactly("a panel: sampler_image_total", "an autoscaler: sampler_queud_images");
  }

  @Test
  void everyMetricOfOurs_isInTheReadme() throws Exception {
    Matcher section =
        Pattern.compile("(?ms)^## Metrics$(.*?)^## ").matcher(Files.readString(README));
    assertThat(section.find()).isTrue();
    Set<String> told = MetricNames.inText(section.group(1));
    Set<String> served =
        bases(house.prometheus().labelValues("__name__", "{job=~\"sampler|trainer\"}"));
    served.removeIf(name -> !OURS.matcher(name).matches());

    assertThat(served).hasSizeGreaterThan(40);
    assertThat(told).containsAll(served);
  }

  @ParameterizedTest
  @MethodSource("dashboards")
  void picture_isDrawn(Dashboard dashboard) throws Exception {
    assumeTrue(DashboardPicture.hasFonts(), "a font (fontconfig, fonts-dejavu-core) is absent");
    Map<String, String> variables = variables(dashboard);
    Span span = house.shown();

    Path picture = Path.of("target", dashboard.uid().replace("dcgan-", "dashboard-") + ".png");
    DashboardPicture.draw(
        dashboard,
        expression -> house.prometheus().range(filled(expression, variables), span),
        span,
        picture);

    assertThat(Files.size(picture)).isBetween(20_000L, 250_000L);
  }

  // --- a dashboard's queries, as Grafana asks them ---

  /** By where they are. */
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

  /** What the variables' own queries find, all of it. */
  private static Map<String, String> variables(Dashboard dashboard) throws Exception {
    Map<String, String> variables = new LinkedHashMap<>();
    // Grafana's would be 4 scrapes; on a busy machine some come late.
    variables.put("$__rate_interval", "8s");
    variables.put("$__interval", "1s");
    for (JsonObject variable : dashboard.variables()) {
      Matcher query =
          LABEL_VALUES.matcher(
              filled(variable.getAsJsonObject("query").get("query").getAsString(), variables));
      assertThat(query.matches()).as(variable.toString()).isTrue();
      List<String> values = house.prometheus().labelValues(query.group(2), query.group(1));
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

  // --- who names metrics, and what there is ---

  /** Metrics by where they are named. */
  private static Map<String, Set<String>> named() throws Exception {
    Map<String, Set<String>> named = new LinkedHashMap<>();
    for (Dashboard dashboard : dashboards()) {
      queries(dashboard).forEach((where, query) -> named.put(where, MetricNames.inQuery(query)));
    }
    for (JsonObject rule : house.prometheus().rules()) {
      named.put(
          "rule " + rule.get("name").getAsString(),
          MetricNames.inQuery(rule.get("query").getAsString()));
    }
    // The autoscaler's and its adapter's, the rules' texts ...
    try (Stream<Path> files = Files.walk(DEPLOY)) {
      for (Path file :
          files.filter(path -> path.toString().matches("\\./(?!src|target).*\\.ya?ml")).toList()) {
        named.put(file.toString(), MetricNames.inText(Files.readString(file)));
      }
    }
    String prose = Files.readString(README).replaceAll("(?s)```.*?```", "");
    named.put("README", MetricNames.inText(prose));
    return named;
  }

  private static Set<String> known() throws Exception {
    List<String> names = house.prometheus().labelValues("__name__", "{__name__!=\"\"}");
    Set<String> known = bases(names);
    known.addAll(names);
    known.addAll(PROMETHEUS_OWN);
    // Recorded under names with colons, of which a file's text shows parts.
    for (JsonObject rule : house.prometheus().rules()) {
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

  /** A histogram's parts under its own name. */
  private static Set<String> bases(List<String> names) {
    return names.stream()
        .map(
            name -> {
              String base = name.replaceFirst("_(bucket|sum|count)$", "");
              return names.contains(base + "_bucket") ? base : name;
            })
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static void assumePrometheus() throws InterruptedException {
    boolean runs;
    try {
      Program.run(folder, List.of("prometheus", "--version"));
      runs = true;
    } catch (IOException | AssertionError e) {
      runs = false;
    }
    assumeTrue(runs, "prometheus is absent");
  }
}
