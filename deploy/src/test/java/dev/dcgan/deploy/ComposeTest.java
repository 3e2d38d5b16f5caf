package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the files of {@code docker compose} and {@code docker buildx bake} without either. */
class ComposeTest {

  private static final String CPU = "compose.yaml";
  private static final String GPU = "compose.gpu.yaml";

  @TempDir private Path scratch;

  static Stream<Arguments> files() {
    return Stream.of(arguments(List.of(CPU)), arguments(List.of(CPU, GPU)));
  }

  @ParameterizedTest
  @MethodSource("files")
  void services_haveNoProblems(List<String> files) throws Exception {
    ObjectNode compose = ComposeCheck.read(files.toArray(String[]::new));

    assertThat(compose.path("services").size()).isEqualTo(4);
    assertThat(ComposeCheck.problems(compose, scratch)).isEmpty();
  }

  /** A field (a JSON pointer), its planted value, and the expected problem. */
  static Stream<Arguments> mistakes() {
    return Stream.of(
        arguments("sampler/stop_grace_period", "35s", "sampler/stop_grace_period: 35s"),
        arguments("sampler/stop_grace_periods", "45s", "sampler/stop_grace_periods: unknown key"),
        arguments("trainer/stop_grace_period", null, "trainer/stop_grace_period: 10s"),
        arguments("sampler/environment/DCGAN_PROVIDER", null, "DCGAN_PROVIDER: none"),
        arguments("sampler/environment/DCGAN_PROVIDER", "gpu", "sampler: error: "),
        arguments("sampler/environment/DCGAN_MODEL_MEMORY", "a lot", "sampler: error: "),
        arguments("trainer/environment", "{DCGAN_DEVISE: cuda}", "DCGAN_DEVISE: no --devise"),
        arguments("trainer/ports/0", "50061:50061", "50061:50061 is not 127.0.0.1's alone"),
        arguments("trainer/ports/1", "127.0.0.1:9402:9402", "trainer/ports: not 9401"),
        arguments("grafana/read_only", "false", "grafana/read_only: not true"),
        arguments("prometheus/cap_drop/0", "NET_RAW", "prometheus/cap_drop: not ALL"),
        arguments("sampler/security_opt", null, "sampler/security_opt: "),
        arguments("grafana/image", "docker.io/grafana/grafana:13.2.2", "has no digest"),
        arguments("sampler/image", "localhost/dcgan-sampler:0.1.0-cuda", "sampler/build: cpu"),
        arguments("sampler/build/target", "trainer", "sampler/volumes: none at /runs"),
        arguments("sampler/tmpfs", null, "sampler: /tmp is not writable"),
        arguments("trainer/volumes/0", "modles:/models", "trainer/volumes: modles is not declared"),
        arguments("prometheus/volumes/0", "../prom:/etc/prometheus:ro", "/deploy/prom here"),
        arguments("prometheus/volumes/1", "metrics:/data", "/prometheus is on no volume"),
        arguments("grafana/volumes/1", "../grafana/dashboards:/boards:ro", "no dashboards at"),
        arguments("sampler/depends_on/0", "trainr", "sampler/depends_on: no service trainr"));
  }

  @ParameterizedTest(name = "{0} = {1}")
  @MethodSource("mistakes")
  void mistake_isFound(String field, @Nullable String value, String problem) throws Exception {
    ObjectNode compose = ComposeCheck.read(CPU);
    put(compose, JsonPointer.compile("/services/" + field), value);

    assertThat(ComposeCheck.problems(compose, scratch)).anyMatch(line -> line.contains(problem));
  }

  @Test
  void images_areBuiltByBake() throws IOException {
    Set<String> used = new TreeSet<>(ComposeCheck.ours(ComposeCheck.read(CPU)));
    used.addAll(ComposeCheck.ours(ComposeCheck.read(CPU, GPU)));

    assertThat(baked()).hasSize(4).containsExactlyInAnyOrderElementsOf(used);
  }

  @ParameterizedTest
  @ValueSource(strings = {"trainer-cpu", "trainer-gpu", "sampler-cpu", "sampler-gpu"})
  void kubernetes_usesImagesOfBake(String component) throws IOException {
    Path file = Kustomize.KUBERNETES.resolve("components/" + component + "/kustomization.yaml");
    List<String> images = new ArrayList<>();
    for (JsonNode image : ComposeCheck.yaml(file).path("images")) {
      images.add(image.path("name").asText() + ":" + image.path("newTag").asText());
    }

    assertThat(images).hasSize(1).isSubsetOf(baked());
    assertThat(images)
        .allMatch(image -> image.endsWith(component.endsWith("gpu") ? "-cuda" : "-cpu"));
  }

  /** A group that names a missing target would build nothing. */
  @Test
  void bakeGroups_nameExistingTargets() throws IOException {
    Set<String> there = new TreeSet<>(List.of("cpu", "cuda"));
    for (String image : baked()) {
      there.add(image.replaceFirst("dcgan-(\\w+):.*-(\\w+)", "$1-$2"));
    }

    List<String> named =
        Pattern.compile("(?m)^  targets = \\[(.*)]$")
            .matcher(bake())
            .results()
            .flatMap(targets -> quoted(targets.group(1)).stream())
            .toList();

    assertThat(named).hasSize(5).isSubsetOf(there);
  }

  /** With the defaults of bake the labels of an image equal those of a build without bake. */
  @Test
  void bakeDefaults_equalThoseOfDockerfile() throws IOException {
    assertThat(Files.readAllLines(ComposeCheck.FOLDER.resolve("Dockerfile")))
        .contains("ARG VERSION=" + variable("TAG"), "ARG REVISION=" + variable("REVISION"));
  }

  /** The images of the matrix of bake, without their registry. */
  private static List<String> baked() throws IOException {
    String tag = quoted(found("(?m)^  tags = \\[(.*)]$")).get(0);
    String version = variable("TAG");
    List<String> images = new ArrayList<>();
    for (String service : quoted(found("(?m)^    service = \\[(.*)]$"))) {
      for (String variant : quoted(found("(?m)^    variant = \\[(.*)]$"))) {
        images.add(
            tag.replace("${REGISTRY}/", "")
                .replace("${service}", service)
                .replace("${TAG}", version)
                .replace("${variant}", variant));
      }
    }
    return images;
  }

  /** The default of a variable of bake. */
  private static String variable(String name) throws IOException {
    return found("(?s)variable \"%s\" \\{\\s*default = \"([^\"]*)\"".formatted(name));
  }

  private static String bake() throws IOException {
    return Files.readString(ComposeCheck.FOLDER.resolve("bake.hcl"));
  }

  private static String found(String regex) throws IOException {
    Matcher found = Pattern.compile(regex).matcher(bake());
    assertThat(found.find()).as(regex).isTrue();
    return found.group(1);
  }

  private static List<String> quoted(String list) {
    return Pattern.compile("\"([^\"]*)\"")
        .matcher(list)
        .results()
        .map((MatchResult word) -> word.group(1))
        .toList();
  }

  private static void put(ObjectNode compose, JsonPointer field, @Nullable String instead)
      throws IOException {
    JsonNode parent = compose.at(field.head());
    JsonNode value =
        instead == null
            ? null
            : instead.startsWith("{")
                ? Manifests.read(instead).get(0)
                : new ObjectMapper().valueToTree(instead);
    if (parent instanceof ArrayNode list) {
      list.set(field.last().getMatchingIndex(), value);
    } else if (value == null) {
      ((ObjectNode) parent).remove(field.last().getMatchingProperty());
    } else {
      ((ObjectNode) parent).set(field.last().getMatchingProperty(), value);
    }
  }
}
