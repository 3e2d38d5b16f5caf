package dev.dcgan.deploy;

import static dev.dcgan.e2e.Program.assumeRuns;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the scrape configurations, the rules, and that the promtool tests cover every rule. */
class PrometheusTest {

  private static final Path FOLDER = Path.of("prometheus").toAbsolutePath();
  private static final String RUNBOOK = "https://git.example.com/dcgan/deploy/RUNBOOK.md";
  private static final Pattern TESTED =
      Pattern.compile("ALERTS\\{alertname=\"(\\w+)\", alertstate=\"firing\"}");
  private static final Pattern TEMPLATE_LABEL = Pattern.compile("\\$labels\\.(\\w+)");
  private static final Pattern LABEL = Pattern.compile("(\\w+)=\"");
  private static final ObjectMapper yaml = new ObjectMapper(new YAMLFactory());

  @TempDir private Path scratch;

  @Test
  void config_passesPromtool() throws Exception {
    promtool("check", "config", FOLDER.resolve("prometheus.yml").toString());
  }

  @Test
  void rules_passPromtool() throws Exception {
    List<String> command = new ArrayList<>(List.of("check", "rules", "--lint=all", "--lint-fatal"));
    files("rules").forEach(file -> command.add(file.toString()));

    promtool(command.toArray(String[]::new));
  }

  @Test
  void tests_passPromtool() throws Exception {
    List<String> command = new ArrayList<>(List.of("test", "rules"));
    files("tests").forEach(file -> command.add(file.toString()));

    promtool(command.toArray(String[]::new));
  }

  @Test
  void config_labelsBothPrograms() throws Exception {
    Path config = FOLDER.resolve("prometheus.yml");

    assertThat(targets(config, "dcgan-sampler"))
        .containsExactly("http://sampler:9402/metrics dcgan-sampler compose/sampler");
    assertThat(targets(config, "dcgan-trainer"))
        .containsExactly("http://trainer:9401/metrics dcgan-trainer compose/trainer");
  }

  @Test
  void kubernetesConfigWithTls_isTheOther_otherwise() throws Exception {
    JsonNode plain = yaml.readTree(FOLDER.resolve("prometheus-kubernetes.yml").toFile());
    JsonNode tls = yaml.readTree(FOLDER.resolve("prometheus-kubernetes-tls.yml").toFile());

    ((ObjectNode) tls.at("/scrape_configs/0")).remove("tls_config");

    assertThat(tls).isEqualTo(plain);
  }

  /** Static targets take the place of service discovery, which needs a cluster. */
  @Test
  void kubernetesConfig_scrapesAnnotatedPods_withTheSameLabels() throws Exception {
    JsonNode config = yaml.readTree(FOLDER.resolve("prometheus-kubernetes.yml").toFile());
    assertThat(config.at("/rule_files"))
        .isEqualTo(yaml.readTree(FOLDER.resolve("prometheus.yml").toFile()).at("/rule_files"));
    ObjectNode job = (ObjectNode) config.at("/scrape_configs/0");
    assertThat(job.remove("kubernetes_sd_configs")).hasToString("[{\"role\":\"pod\"}]");
    ((ObjectNode) config).remove("rule_files");
    job.set(
        "static_configs",
        yaml.valueToTree(
            List.of(
                pod(
                    "sampler-1",
                    "dcgan-sampler",
                    "Running",
                    "10.0.0.1",
                    "9402",
                    "true",
                    "/metrics"),
                pod("trainer-0", "dcgan-trainer", "Running", "fd00::2", "9401", "true", ""),
                pod(
                    "sampler-2",
                    "dcgan-sampler",
                    "Running",
                    "10.0.0.3",
                    "9402",
                    "false",
                    "/metrics"),
                pod("sampler-3", "dcgan-sampler", "Running", "10.0.0.4", "9402", "", "/metrics"),
                pod(
                    "train-xyz",
                    "dcgan-trainer",
                    "Succeeded",
                    "10.0.0.5",
                    "9401",
                    "true",
                    "/metrics"),
                pod("train-abc", "dcgan-trainer", "Failed", "10.0.0.6", "9401", "true", "/metrics"),
                pod("others-0", "others", "Running", "10.0.0.7", "80", "true", "/metrics"))));
    Path changed = scratch.resolve("prometheus.yml");
    yaml.writeValue(changed.toFile(), config);

    promtool("check", "config", changed.toString());
    assertThat(targets(changed, "pods"))
        .containsExactlyInAnyOrder(
            "http://10.0.0.1:9402/metrics dcgan-sampler dcgan/sampler-1",
            "http://[fd00::2]:9401/metrics dcgan-trainer dcgan/trainer-0");
  }

  @Test
  void alert_hasSeverity_texts_andRunbookSection() throws IOException {
    List<String> sections =
        found(Pattern.compile("(?m)^### (\\w+)$"), Files.readString(Path.of("RUNBOOK.md")))
            .toList();
    assertThat(sections).containsExactlyInAnyOrderElementsOf(alerts().keySet());
    for (JsonNode alert : alerts().values()) {
      String name = alert.path("alert").asText();
      assertThat(alert.at("/labels/severity").asText()).as(name).isIn("critical", "warning");
      JsonNode annotations = alert.path("annotations");
      assertThat(names(annotations))
          .as(name)
          .containsExactlyInAnyOrder("summary", "description", "runbook_url");
      assertThat(annotations.path("summary").asText()).as(name).isNotBlank().doesNotContain("\n");
      assertThat(annotations.path("description").asText()).as(name).contains("{{ $labels.");
      assertThat(annotations.path("runbook_url").asText())
          .isEqualTo(RUNBOOK + "#" + name.toLowerCase(Locale.ROOT));
    }
  }

  @Test
  void alert_hasFiringAndSilentCase() throws IOException {
    Map<String, List<JsonNode>> cases = alertCases();

    assertThat(cases.keySet()).containsExactlyInAnyOrderElementsOf(alerts().keySet());
    cases.forEach(
        (alert, ofIt) -> {
          assertThat(ofIt).as(alert).anyMatch(tested -> !tested.path("exp_samples").isEmpty());
          assertThat(ofIt).as(alert).anyMatch(tested -> tested.path("exp_samples").isEmpty());
        });
  }

  /** A label that the alert does not have would be empty in its texts. */
  @Test
  void alertTexts_nameOnlyExistingLabels() throws IOException {
    Map<String, JsonNode> alerts = alerts();
    alertCases()
        .forEach(
            (alert, cases) -> {
              Set<String> named =
                  found(TEMPLATE_LABEL, String.valueOf(alerts.get(alert)))
                      .collect(Collectors.toSet());
              for (JsonNode tested : cases) {
                for (JsonNode sample : tested.path("exp_samples")) {
                  assertThat(found(LABEL, sample.path("labels").asText()))
                      .as(alert)
                      .containsAll(named);
                }
              }
            });
  }

  @Test
  void recordingRule_isUsed_andTested() throws IOException {
    List<String> used = rules().map(rule -> rule.path("expr").asText()).toList();
    String tests = Files.readString(FOLDER.resolve("tests/recording.test.yml"));

    List<String> records =
        rules().map(rule -> rule.path("record").asText()).filter(name -> !name.isEmpty()).toList();

    assertThat(records).isNotEmpty().doesNotHaveDuplicates();
    for (String record : records) {
      assertThat(used).anyMatch(expression -> expression.contains(record));
      assertThat(tests).contains(record);
    }
  }

  @Test
  void readme_listsEveryAlert() throws IOException {
    String readme = Files.readString(Path.of("README.md"));

    assertThat(found(Pattern.compile("(?m)^\\| `((?:Sampler|Trainer|Dcgan)\\w+)`"), readme))
        .containsExactlyInAnyOrderElementsOf(alerts().keySet());
  }

  private static String promtool(String... arguments) throws IOException, InterruptedException {
    assumeRuns("prometheus (promtool)", "promtool", "--version");
    List<String> command = new ArrayList<>(List.of("promtool"));
    command.addAll(List.of(arguments));
    return Program.run(FOLDER, command);
  }

  /** The targets that Prometheus would scrape: URL, job, namespace/pod. */
  private static List<String> targets(Path config, String job) throws Exception {
    JsonNode found =
        yaml.readTree(
            promtool("check", "service-discovery", "--timeout=1s", config.toString(), job));
    List<String> targets = new ArrayList<>();
    for (JsonNode target : found) {
      JsonNode labels = target.path("labels");
      if (!labels.isEmpty()) {
        targets.add(
            "%s://%s%s %s %s/%s"
                .formatted(
                    labels.path("__scheme__").asText(),
                    labels.path("__address__").asText(),
                    labels.path("__metrics_path__").asText(),
                    labels.path("job").asText(),
                    labels.path("namespace").asText(),
                    labels.path("pod").asText()));
      }
    }
    return targets;
  }

  /** A pod as service discovery describes it; an empty label stands for an absent annotation. */
  private static Map<String, Object> pod(
      String name, String app, String phase, String ip, String port, String scrape, String path) {
    return Map.of(
        "targets",
        List.of(ip.contains(":") ? "[" + ip + "]:50051" : ip + ":50051"),
        "labels",
        Map.of(
            "__meta_kubernetes_namespace", "dcgan",
            "__meta_kubernetes_pod_name", name,
            "__meta_kubernetes_pod_label_app_kubernetes_io_name", app,
            "__meta_kubernetes_pod_phase", phase,
            "__meta_kubernetes_pod_ip", ip,
            "__meta_kubernetes_pod_annotation_prometheus_io_port", port,
            "__meta_kubernetes_pod_annotation_prometheus_io_scrape", scrape,
            "__meta_kubernetes_pod_annotation_prometheus_io_path", path));
  }

  /** The promtool cases by alert. */
  private static Map<String, List<JsonNode>> alertCases() throws IOException {
    Map<String, List<JsonNode>> cases = new HashMap<>();
    for (Path file : files("tests")) {
      for (JsonNode test : yaml.readTree(file.toFile()).path("tests")) {
        for (JsonNode tested : test.path("promql_expr_test")) {
          Matcher alert = TESTED.matcher(tested.path("expr").asText());
          if (alert.matches()) {
            cases.computeIfAbsent(alert.group(1), name -> new ArrayList<>()).add(tested);
          }
        }
      }
    }
    return cases;
  }

  private static Map<String, JsonNode> alerts() throws IOException {
    return rules()
        .filter(rule -> rule.has("alert"))
        .collect(Collectors.toMap(rule -> rule.path("alert").asText(), rule -> rule));
  }

  private static Stream<JsonNode> rules() throws IOException {
    List<JsonNode> rules = new ArrayList<>();
    for (Path file : files("rules")) {
      for (JsonNode group : yaml.readTree(file.toFile()).path("groups")) {
        group.path("rules").forEach(rules::add);
      }
    }
    return rules.stream();
  }

  private static List<Path> files(String folder) throws IOException {
    try (Stream<Path> files = Files.list(FOLDER.resolve(folder))) {
      return files.filter(file -> file.toString().endsWith(".yml")).sorted().toList();
    }
  }

  private static Set<String> names(JsonNode object) {
    Set<String> names = new TreeSet<>();
    object.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static Stream<String> found(Pattern pattern, String text) {
    return pattern.matcher(text).results().map(match -> match.group(1));
  }
}
