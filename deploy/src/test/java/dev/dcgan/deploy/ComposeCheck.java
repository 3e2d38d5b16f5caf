package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.FormatMethod;
import dev.dcgan.sampler.SamplerMain;
import dev.dcgan.server.DryRun;
import dev.dcgan.trainer.TrainerMain;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** Checks compose files, and the files that they mount, build and run. */
final class ComposeCheck {

  static final Path FOLDER = Kustomize.DEPLOY.resolve("docker");
  private static final Map<String, Class<?>> PROGRAMS =
      Map.of("sampler", SamplerMain.class, "trainer", TrainerMain.class);
  // Other keys are reported, since they may be misspelled.
  private static final Set<String> KEYS =
      Set.of(
          "read_only",
          "cap_drop",
          "security_opt",
          "restart",
          "image",
          "build",
          "command",
          "environment",
          "ports",
          "volumes",
          "tmpfs",
          "depends_on",
          "mem_limit",
          "stop_grace_period",
          "deploy");
  private static final Pattern REFERENCE = Pattern.compile("\\$\\{(\\w+)(?::([-?])([^}]*))?}");
  private static final Pattern PINNED = Pattern.compile("[^:@]+/[^:@]+:[^:@]+@sha256:[0-9a-f]{64}");
  private static final Pattern OURS = Pattern.compile("localhost/dcgan-(\\w+):[^:@]+-(cpu|cuda)");
  private static final Pattern PORT = Pattern.compile("127\\.0\\.0\\.1:(\\d+):(\\d+)");
  private static final Pattern SET = Pattern.compile("(DCGAN_\\w+)=(\\S+)");
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final ObjectNode compose;
  private final Path scratch;
  private final List<String> problems = new ArrayList<>();

  private ComposeCheck(ObjectNode compose, Path scratch) {
    this.compose = compose;
    this.scratch = scratch;
  }

  /** Merges files as Compose does: lists are concatenated, other values are replaced. */
  static ObjectNode read(String... files) throws IOException {
    ObjectNode merged = MAPPER.createObjectNode();
    for (String file : files) {
      merge(merged, yaml(FOLDER.resolve(file)));
    }
    return merged;
  }

  /** Reads YAML with anchors and merge keys, which Jackson does not resolve. */
  static ObjectNode yaml(Path file) throws IOException {
    LoaderOptions options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    return MAPPER.valueToTree(new Yaml(new SafeConstructor(options)).load(Files.readString(file)));
  }

  private static void merge(ObjectNode into, ObjectNode from) {
    from.properties()
        .forEach(
            field -> {
              JsonNode there = into.get(field.getKey());
              if (there instanceof ObjectNode inner
                  && field.getValue() instanceof ObjectNode more) {
                merge(inner, more);
              } else if (there instanceof ArrayNode list && field.getValue().isArray()) {
                field.getValue().forEach(list::add);
              } else {
                into.set(field.getKey(), field.getValue());
              }
            });
  }

  /**
   * All problems.
   *
   * @param scratch a folder in which the folders of the programs are created
   */
  static List<String> problems(ObjectNode compose, Path scratch) throws IOException {
    ComposeCheck check = new ComposeCheck(compose, scratch);
    for (Map.Entry<String, JsonNode> service : compose.path("services").properties()) {
      check.service(service.getKey(), service.getValue());
    }
    check.volumes();
    check.prometheus();
    check.grafana();
    return check.problems;
  }

  /** All images without their registry, such as {@code dcgan-trainer:0.1.0-cpu}. */
  static List<String> ours(ObjectNode compose) {
    return StreamSupport.stream(compose.path("services").spliterator(), false)
        .filter(service -> service.has("build"))
        .map(service -> interpolate(service.path("image").asText()).replaceFirst(".*/", ""))
        .toList();
  }

  /** Replaces variables as Compose does if only the required ones are set. */
  static String interpolate(String text) {
    return REFERENCE
        .matcher(text)
        .replaceAll(
            found ->
                Matcher.quoteReplacement(
                    "-".equals(found.group(2)) ? found.group(3) : "<" + found.group(1) + ">"));
  }

  @FormatMethod
  private void require(boolean found, String line, Object... values) {
    if (!found) {
      problems.add(line.formatted(values));
    }
  }

  private void service(String name, JsonNode service) throws IOException {
    service
        .fieldNames()
        .forEachRemaining(key -> require(KEYS.contains(key), "%s/%s: unknown key", name, key));
    require(service.path("read_only").asBoolean(), "%s/read_only: not true", name);
    require(texts(service.path("cap_drop")).equals(List.of("ALL")), "%s/cap_drop: not ALL", name);
    require(
        texts(service.path("security_opt")).equals(List.of("no-new-privileges:true")),
        "%s/security_opt: not no-new-privileges",
        name);
    require(service.has("mem_limit"), "%s/mem_limit: missing", name);
    for (String other : texts(service.path("depends_on"))) {
      require(compose.at("/services").has(other), "%s/depends_on: no service %s", name, other);
    }
    for (String port : texts(service.path("ports"))) {
      require(PORT.matcher(port).matches(), "%s/ports: %s is not 127.0.0.1's alone", name, port);
    }
    String image = interpolate(service.path("image").asText());
    if (!service.has("build")) {
      require(PINNED.matcher(image).matches(), "%s/image: %s has no digest", name, image);
      return;
    }
    Matcher ours = OURS.matcher(image);
    Class<?> program = PROGRAMS.get(name);
    if (program == null || !ours.matches() || !ours.group(1).equals(name)) {
      problems.add("%s/image: %s is not an image of that program".formatted(name, image));
      return;
    }
    String variant = service.at("/build/args/VARIANT").asText("cpu");
    require(variant.equals(ours.group(2)), "%s/build: %s for %s", name, variant, image);
    program(name, service, program, variant);
  }

  private void program(String name, JsonNode service, Class<?> program, String variant)
      throws IOException {
    Path context = FOLDER.resolve(service.at("/build/context").asText()).normalize();
    Path dockerfile = context.resolve(service.at("/build/dockerfile").asText());
    Map<String, String> environment = new LinkedHashMap<>();
    String stage = stage(dockerfile, service.at("/build/target").asText());
    SET.matcher(stage).results().forEach(set -> environment.put(set.group(1), set.group(2)));
    for (Map.Entry<String, String> folder : environment.entrySet()) {
      require(
          mounts(service).containsKey(folder.getValue()),
          "%s/volumes: none at %s, the image's %s",
          name,
          folder.getValue(),
          folder.getKey());
    }
    require(
        mounts(service).containsKey("/tmp") || texts(service.path("tmpfs")).contains("/tmp"),
        "%s: /tmp is not writable",
        name);
    require(
        stage.contains("\nCMD [\"serve\"]\n"), "%s/build: the default command is not serve", name);
    require(!service.has("command"), "%s/command: differs from that of the image", name);
    service
        .path("environment")
        .properties()
        .forEach(set -> environment.put(set.getKey(), set.getValue().asText()));
    ProgramCheck.strangers(program, List.of("serve"), environment)
        .forEach((key, option) -> require(false, "%s/environment/%s: no %s", name, key, option));
    String provider = environment.getOrDefault("DCGAN_PROVIDER", "none");
    require(
        program != SamplerMain.class || variant.equals(provider),
        "%s/environment/DCGAN_PROVIDER: %s, in the image for %s",
        name,
        provider,
        variant);
    ends(name, service, ProgramCheck.longestEnd(program, environment));

    for (String option : List.of("--port", "--http-port")) {
      int port = (Integer) DryRun.value(program, "serve", option);
      require(
          texts(service.path("ports")).contains("127.0.0.1:%1$d:%1$d".formatted(port)),
          "%s/ports: not %d, where the program listens",
          name,
          port);
    }
    require(service.path("ports").size() == 2, "%s/ports: more than the program has", name);

    Path root = Files.createTempDirectory(scratch, name);
    for (Map.Entry<String, String> set : environment.entrySet()) {
      if (set.getValue().startsWith("/")) {
        set.setValue(Files.createDirectories(Path.of(root + set.getValue())).toString());
      }
    }
    for (String line : DryRun.problems(program, environment, List.of("serve"))) {
      problems.add(name + ": " + line);
    }
  }

  private void ends(String name, JsonNode service, Duration longest) {
    String grace = service.path("stop_grace_period").asText("10s"); // The default of Compose.
    require(
        DryRun.duration(grace).compareTo(longest) > 0,
        "%s/stop_grace_period: %s, but shutdown may take %d s",
        name,
        grace,
        longest.toSeconds());
  }

  /** The text of a stage of the Dockerfile. */
  private static String stage(Path dockerfile, String target) throws IOException {
    Matcher stage =
        Pattern.compile("(?ms)^FROM \\S+ AS " + Pattern.quote(target) + "$.*?(?=^FROM |\\z)")
            .matcher(Files.readString(dockerfile));
    return stage.find() ? stage.group() : "";
  }

  /** Folders in the container, by their volumes or absolute paths on the host. */
  private static Map<String, String> mounts(JsonNode service) {
    Map<String, String> mounts = new TreeMap<>();
    for (String volume : texts(service.path("volumes"))) {
      String[] parts = volume.split(":", 3);
      String source =
          parts[0].matches("[./~].*") ? FOLDER.resolve(parts[0]).normalize() + "" : parts[0];
      mounts.put(parts.length > 1 ? parts[1] : "", source);
    }
    return mounts;
  }

  private void volumes() {
    Set<String> used = new HashSet<>();
    for (Map.Entry<String, JsonNode> service : compose.path("services").properties()) {
      for (String source : mounts(service.getValue()).values()) {
        if (source.startsWith("/")) {
          require(
              Files.exists(Path.of(source)), "%s/volumes: no %s here", service.getKey(), source);
        } else {
          require(
              compose.path("volumes").has(source),
              "%s/volumes: %s is not declared",
              service.getKey(),
              source);
          used.add(source);
        }
      }
    }
    compose
        .path("volumes")
        .fieldNames()
        .forEachRemaining(volume -> require(used.contains(volume), "volumes/%s: no use", volume));
  }

  /**
   * Checks that Prometheus has its configuration and data, and scrapes the ports of both programs.
   */
  private void prometheus() throws IOException {
    JsonNode service = compose.at("/services/prometheus");
    String data = option(service, "--storage.tsdb.path=");
    require(
        compose.path("volumes").has(mounts(service).getOrDefault(data, "")),
        "prometheus/command: %s is on no volume",
        data);
    Path config = onHost(service, option(service, "--config.file="));
    if (config == null || !Files.isRegularFile(config)) {
      problems.add("prometheus/volumes: no config in the place that its command names");
      return;
    }
    Set<String> scraped = new HashSet<>();
    ObjectNode settings = yaml(config);
    for (JsonNode job : settings.path("scrape_configs")) {
      scraped.addAll(texts(job.at("/static_configs/0/targets")));
    }
    Set<String> listening = new HashSet<>();
    PROGRAMS.forEach(
        (name, program) ->
            listening.add(name + ":" + DryRun.value(program, "serve", "--http-port")));
    require(scraped.equals(listening), "prometheus: scrapes %s, not %s", scraped, listening);
    for (String rules : texts(settings.path("rule_files"))) {
      Path folder = config.resolveSibling(rules).getParent();
      require(folder != null && Files.isDirectory(folder), "prometheus: no rules at %s", rules);
    }
  }

  /** Checks that Grafana has its provisioning and dashboards, and finds Prometheus. */
  private void grafana() throws IOException {
    JsonNode service = compose.at("/services/grafana");
    Path provisioning = onHost(service, "/etc/grafana/provisioning");
    if (provisioning == null || !Files.isDirectory(provisioning.resolve("dashboards"))) {
      problems.add("grafana/volumes: no provisioning in the place where Grafana looks for it");
      return;
    }
    String dashboards =
        yaml(provisioning.resolve("dashboards/dcgan.yaml"))
            .at("/providers/0/options/path")
            .asText();
    Path folder = onHost(service, dashboards);
    require(
        folder != null && Files.isRegularFile(folder.resolve("sampler.json")),
        "grafana/volumes: no dashboards at %s",
        dashboards);
    String url =
        yaml(provisioning.resolve("datasources/prometheus.yaml")).at("/datasources/0/url").asText();
    require(
        url.equals("http://prometheus:9090")
            && texts(compose.at("/services/prometheus/ports")).contains("127.0.0.1:9090:9090"),
        "grafana: the data source is %s, where no Prometheus listens",
        url);
  }

  /** The path on the host of a path in a container; null if no folder of the host is mounted. */
  private static @Nullable Path onHost(JsonNode service, String path) {
    for (Map.Entry<String, String> mount : mounts(service).entrySet()) {
      if ((path + "/").startsWith(mount.getKey() + "/") && mount.getValue().startsWith("/")) {
        return Path.of(mount.getValue() + path.substring(mount.getKey().length()));
      }
    }
    return null;
  }

  private static String option(JsonNode service, String prefix) {
    return texts(service.path("command")).stream()
        .filter(argument -> argument.startsWith(prefix))
        .map(argument -> argument.substring(prefix.length()))
        .findFirst()
        .orElse("");
  }

  private static List<String> texts(JsonNode list) {
    return StreamSupport.stream(list.spliterator(), false)
        .map(text -> interpolate(text.asText()))
        .toList();
  }
}
