package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.dcgan.deploy.Manifests.Pods;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.Readiness;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.Quantity;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the objects that {@code kubectl apply -k} would send, without a cluster. */
class KubernetesTest {

  // `kubectl apply` also stores the object as an annotation, whose size is limited.
  private static final int MAX_BYTES = 250_000;

  @TempDir private Path scratch;

  static Stream<Arguments> variants() {
    return Stream.of(
        arguments("overlays/cpu", List.of("annotations")),
        arguments("overlays/cpu", List.of("prometheus-operator")),
        arguments("overlays/cpu", List.of("annotations", "tls")),
        arguments("overlays/gpu", List.of("prometheus-operator")),
        arguments("overlays/gpu", List.of("annotations")),
        arguments("overlays/gpu", List.of("prometheus-operator", "tls")),
        arguments("jobs/train", List.of("gpu")),
        arguments("jobs/train", List.of("cpu")),
        arguments("jobs/sweep", List.of("gpu")),
        arguments("jobs/sweep", List.of("cpu")),
        arguments("jobs/export", List.of("gpu")),
        arguments("jobs/export", List.of("cpu")));
  }

  @ParameterizedTest(name = "{0} with {1}")
  @MethodSource("variants")
  void objects_haveNoProblems(String folder, List<String> components) throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees = Rendered.with(folder, components);

    assertThat(new Inspection(scratch).problems(trees)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"overlays/cpu", "overlays/gpu", "jobs/train", "jobs/sweep", "jobs/export"})
  void folder_renders(String folder) throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees = Manifests.read(Kustomize.render(Kustomize.KUBERNETES.resolve(folder)));
    String list =
        trees.stream()
            .collect(
                Collectors.groupingBy(
                    tree -> tree.path("kind").asText(),
                    TreeMap::new,
                    Collectors.mapping(
                        tree -> tree.path("metadata").path("name").asText(),
                        Collectors.joining(", "))))
            .entrySet()
            .stream()
            .map(kind -> "  %s: %s%n".formatted(kind.getKey(), kind.getValue()))
            .collect(Collectors.joining("", folder + "\n", ""));
    Path lists = Files.createDirectories(Path.of("target/kubernetes"));
    Files.writeString(lists.resolve(folder.replace('/', '-') + ".txt"), list);
    System.out.print(list);

    assertThat(trees).isNotEmpty();
    for (ObjectNode tree : trees) {
      assertThat(tree.toString().length()).as(Manifests.name(tree)).isLessThan(MAX_BYTES);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "gpu"})
  void images_areThoseOfComponent(String variant) throws Exception {
    Kustomize.assumeHere();
    String file = "components/" + variant + "/kustomization.yaml";
    List<String> images = new ArrayList<>();
    for (JsonNode image :
        Manifests.read(Files.readString(Kustomize.KUBERNETES.resolve(file))).get(0).get("images")) {
      images.add(image.get("newName").asText() + ":" + image.get("newTag").asText());
    }
    List<ObjectNode> trees =
        new ArrayList<>(Rendered.with("overlays/" + variant, List.of("annotations")));
    for (String job : List.of("train", "sweep", "export")) {
      trees.addAll(Rendered.alone("jobs/" + job, List.of(variant)));
    }

    List<String> used =
        Manifests.parse(trees).pods().stream()
            .flatMap(pods -> pods.template().getSpec().getContainers().stream())
            .map(Container::getImage)
            .distinct()
            .toList();

    assertThat(used).containsExactlyInAnyOrderElementsOf(images);
  }

  @Test
  void gpu_isRequestedByEveryPod() throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees = new ArrayList<>(Rendered.with("overlays/gpu", List.of("annotations")));
    for (String job : List.of("train", "sweep", "export")) {
      trees.addAll(Rendered.alone("jobs/" + job, List.of("gpu")));
    }

    for (Pods pods : Manifests.parse(trees).pods()) {
      Container container = pods.template().getSpec().getContainers().get(0);
      Map<String, String> environment = new TreeMap<>();
      container.getEnv().forEach(v -> environment.put(v.getName(), "" + v.getValue()));
      assertThat(container.getResources().getLimits())
          .as(pods.owner())
          .containsEntry("nvidia.com/gpu", new Quantity("1"));
      assertThat(pods.template().getSpec().getTolerations()).as(pods.owner()).hasSize(1);
      assertThat(pods.template().getSpec().getNodeSelector()).as(pods.owner()).hasSize(1);
      assertThat(environment.get("DCGAN_PROVIDER") + environment.get("DCGAN_DEVICE"))
          .as(pods.owner())
          .contains("cuda");
    }
  }

  /** Kustomize cannot include a file in a custom resource, so {@code generate.sh} does. */
  @Test
  void prometheusRule_equalsRuleFiles() throws Exception {
    Path operator = Kustomize.KUBERNETES.resolve("components/prometheus-operator");
    List<JsonNode> rules = new ArrayList<>();
    try (Stream<Path> files = Files.list(Kustomize.DEPLOY.resolve("prometheus/rules"))) {
      for (Path file : files.sorted().toList()) {
        Manifests.read(Files.readString(file)).get(0).get("groups").forEach(rules::add);
      }
    }

    JsonNode groups =
        Manifests.read(Files.readString(operator.resolve("prometheusrule.yaml")))
            .get(0)
            .at("/spec/groups");

    assertThat(rules).isNotEmpty();
    assertThat(groups)
        .as("run deploy/kubernetes/components/prometheus-operator/generate.sh")
        .containsExactlyElementsOf(rules);
  }

  @Test
  void probedPaths_areServed() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      endpoint.setReadiness(Readiness.READY);
      for (String path : List.of("/healthz", "/readyz", "/metrics")) {
        URI uri = URI.create("http://localhost:" + endpoint.port() + path);
        assertThat(
                HttpClient.newHttpClient()
                    .send(HttpRequest.newBuilder(uri).build(), BodyHandlers.discarding())
                    .statusCode())
            .as(path)
            .isEqualTo(200);
      }
    }
  }

  /** Without kubectl this tests at least the files that it would read. */
  @Test
  void files_areValidObjects() throws Exception {
    List<ObjectNode> trees = new ArrayList<>();
    try (Stream<Path> files = Files.walk(Kustomize.KUBERNETES)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        if (file.toString().endsWith(".yaml") && !file.endsWith("kustomization.yaml")) {
          trees.addAll(Manifests.read(Files.readString(file)));
        }
      }
    }
    Manifests manifests = Manifests.parse(trees);

    assertThat(manifests.problems()).isEmpty();
    assertThat(ValueCheck.problems(manifests)).isEmpty();
    assertThat(SecurityCheck.problems(manifests)).isEmpty();
    assertThat(manifests.pods()).hasSize(5);
  }
}
