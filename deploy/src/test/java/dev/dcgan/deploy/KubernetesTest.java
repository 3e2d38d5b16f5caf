package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import org.junit.jupiter.params.provider.CsvSource;
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
        arguments("overlays/cpu", List.of("annotations", "keda")),
        arguments("overlays/cpu", List.of("annotations", "tracing")),
        arguments("overlays/gpu", List.of("prometheus-operator")),
        arguments("overlays/gpu", List.of("annotations")),
        arguments("overlays/gpu", List.of("prometheus-operator", "tls")),
        arguments("overlays/gpu-training", List.of("prometheus-operator")),
        arguments("jobs/train", List.of("trainer-gpu")),
        arguments("jobs/train", List.of("trainer-cpu")),
        arguments("jobs/sweep", List.of("trainer-gpu")),
        arguments("jobs/sweep", List.of("trainer-cpu")),
        arguments("jobs/export", List.of("sampler-gpu")),
        arguments("jobs/export", List.of("sampler-cpu")));
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
      strings = {
        "storage",
        "storage-one-node",
        "overlays/cpu",
        "overlays/gpu",
        "overlays/gpu-training",
        "jobs/train",
        "jobs/sweep",
        "jobs/export"
      })
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
  @CsvSource({"cpu, cpu, cpu", "gpu, cuda, cuda", "gpu-training, cuda, cpu"})
  void images_areThoseOfTheDevice(String overlay, String trainer, String sampler) throws Exception {
    Kustomize.assumeHere();

    assertThat(images(Rendered.alone("overlays/" + overlay, List.of("annotations"))))
        .containsExactlyInAnyOrder(
            "registry.example.com/dcgan/dcgan-trainer:0.1.0-" + trainer,
            "registry.example.com/dcgan/dcgan-sampler:0.1.0-" + sampler);
  }

  @ParameterizedTest
  @CsvSource({"train, trainer", "sweep, trainer", "export, sampler"})
  void jobImages_areThoseOfTheDevice(String job, String program) throws Exception {
    Kustomize.assumeHere();
    for (var tag : Map.of("cpu", "cpu", "gpu", "cuda").entrySet()) {
      assertThat(images(Rendered.alone("jobs/" + job, List.of(program + "-" + tag.getKey()))))
          .containsExactly(
              "registry.example.com/dcgan/dcgan-%s:0.1.0-%s".formatted(program, tag.getValue()));
    }
  }

  private static List<String> images(List<ObjectNode> trees) {
    return Manifests.parse(trees).pods().stream()
        .flatMap(pods -> pods.template().getSpec().getContainers().stream())
        .map(Container::getImage)
        .distinct()
        .toList();
  }

  /** As a user does who has a registry. */
  @Test
  void imagesOfAnOwnOverlay_win() throws Exception {
    Kustomize.assumeHere();

    String yaml =
        Kustomize.renderOwn(
            """
            apiVersion: kustomize.config.k8s.io/v1beta1
            kind: Kustomization
            namespace: dcgan
            resources: [../../base]
            components: [../../components/trainer-gpu, ../../components/sampler-cpu]
            images:
              - {name: dcgan-trainer, newName: registry.internal/ml/trainer}
              - {name: dcgan-sampler, newName: registry.internal/ml/sampler, newTag: mine}
            """);

    assertThat(images(Manifests.read(yaml)))
        .containsExactlyInAnyOrder(
            "registry.internal/ml/trainer:0.1.0-cuda", "registry.internal/ml/sampler:mine");
  }

  @ParameterizedTest
  @CsvSource({"cpu, 500", "gpu, 5000"})
  void kedaThreshold_isThatOfTheDevice(String device, String threshold) throws Exception {
    Kustomize.assumeHere();

    String yaml =
        Kustomize.renderOwn(
            """
            apiVersion: kustomize.config.k8s.io/v1beta1
            kind: Kustomization
            namespace: dcgan
            resources: [../../base]
            components: [../../components/keda, ../../components/sampler-%s]
            """
                .formatted(device));

    assertThat(
            object(Manifests.read(yaml), "ScaledObject")
                .at("/spec/triggers/0/metadata/threshold")
                .asText())
        .isEqualTo(threshold);
  }

  @Test
  void tracing_setsTheCollector_andLetsOnlyServicesReachIt() throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees = Rendered.alone("overlays/cpu", List.of("annotations", "tracing"));

    assertThat(
            Manifests.parse(trees).pods().stream()
                .flatMap(pods -> pods.template().getSpec().getContainers().stream())
                .flatMap(container -> container.getEnv().stream())
                .filter(variable -> variable.getName().equals("OTEL_EXPORTER_OTLP_ENDPOINT")))
        .as("of the trainer and of the sampler")
        .hasSize(2);
    assertThat(trees)
        .filteredOn(tree -> tree.at("/spec/egress").isArray())
        .singleElement()
        .satisfies(
            policy -> {
              assertThat(policy.at("/spec/podSelector/matchLabels/app.kubernetes.io~1component"))
                  .hasToString("\"service\"");
              assertThat(policy.at("/spec/egress/0/ports/0/port").asInt()).isEqualTo(4318);
            });
  }

  @Test
  void deletingAnOverlay_keepsNamespaceAndClaims() throws Exception {
    Kustomize.assumeHere();
    for (String overlay : List.of("cpu", "gpu", "gpu-training")) {
      assertThat(Rendered.alone("overlays/" + overlay, List.of("annotations")))
          .extracting(tree -> tree.path("kind").asText())
          .doesNotContain("Namespace", "PersistentVolumeClaim");
    }
  }

  @Test
  void storageOfOneNode_isThatOfMany_otherwise() throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> many = Rendered.storage();
    List<ObjectNode> one =
        Manifests.read(Kustomize.render(Kustomize.KUBERNETES.resolve("storage-one-node")));

    assertThat(one.toString().replace("ReadWriteOnce", "ReadWriteMany")).isEqualTo(many.toString());
    assertThat(one.toString()).contains("ReadWriteOnce").doesNotContain("ReadWriteMany");
  }

  @Test
  void keda_takesThePlaceOfTheAutoscaler_withItsBounds() throws Exception {
    Kustomize.assumeHere();
    JsonNode scaler = object(Rendered.alone("overlays/cpu", List.of("annotations")), "Horizontal");
    List<ObjectNode> trees = Rendered.alone("overlays/cpu", List.of("annotations", "keda"));
    JsonNode scaled = object(trees, "ScaledObject");

    assertThat(trees).noneMatch(tree -> tree.path("kind").asText().startsWith("Horizontal"));
    assertThat(trees)
        .as("the target, in the same namespace")
        .anyMatch(
            tree ->
                tree.path("kind").asText().equals("Deployment")
                    && tree.at("/metadata/name").equals(scaled.at("/spec/scaleTargetRef/name"))
                    && tree.at("/metadata/namespace").equals(scaled.at("/metadata/namespace")));
    assertThat(scaled.at("/spec/scaleTargetRef/name"))
        .isEqualTo(scaler.at("/spec/scaleTargetRef/name"));
    assertThat(scaled.at("/spec/minReplicaCount")).isEqualTo(scaler.at("/spec/minReplicas"));
    assertThat(scaled.at("/spec/maxReplicaCount")).isEqualTo(scaler.at("/spec/maxReplicas"));
    assertThat(scaled.at("/spec/advanced/horizontalPodAutoscalerConfig/behavior"))
        .isEqualTo(scaler.at("/spec/behavior"));
    JsonNode trigger = scaled.at("/spec/triggers/0/metadata");
    assertThat(trigger.path("threshold"))
        .isEqualTo(scaler.at("/spec/metrics/0/pods/target/averageValue"));
    assertThat(trigger.path("query").asText())
        .contains(scaler.at("/spec/metrics/0/pods/metric/name").asText())
        .contains("namespace=\"" + scaled.at("/metadata/namespace").asText() + "\"");
  }

  /** Each as an API server or KEDA itself would refuse it. */
  @ParameterizedTest
  @CsvSource({
    "/spec/scaleTargetRef, name, , /spec/scaleTargetRef/name: missing",
    "/spec, minReplicas, 2, /spec/minReplicas: unknown field",
    "/spec, minReplicaCount, '\"2\"', /spec/minReplicaCount",
    "/spec, minReplicaCount, 11, /spec/maxReplicaCount",
    "/spec, idleReplicaCount, 2, /spec/idleReplicaCount",
    "/spec, triggers, [], /spec/triggers",
    "/spec/fallback, failureThreshold, , /spec/fallback/failureThreshold: missing",
    "/spec/fallback, behavior, '\"higher\"', /spec/fallback/behavior",
    "/spec/triggers/0, type, '\"prometeus\"', /spec/triggers/type",
    "/spec/triggers/0/metadata, threshold, 500, /spec/triggers/metadata/threshold",
    "/spec/triggers/0/metadata, query, , /spec/triggers/metadata/query: missing",
    "/spec/triggers/0/metadata, metricName, '\"x\"', /spec/triggers/metadata/metricName: unknown"
  })
  void keda_refusesAMistake(String parent, String field, String value, String problem)
      throws Exception {
    Path file = Kustomize.KUBERNETES.resolve("components/keda/scaledobject.yaml");
    ObjectNode tree = Manifests.read(Files.readString(file)).get(0);
    assertThat(ScaledObjectCheck.problems(tree)).isEmpty();
    ObjectNode changed = (ObjectNode) tree.at(parent);
    if (value == null) {
      changed.remove(field);
    } else {
      changed.set(field, new ObjectMapper().readTree(value));
    }

    assertThat(ScaledObjectCheck.problems(tree))
        .singleElement()
        .asString()
        .contains("ScaledObject dcgan-sampler: " + problem);
  }

  @Test
  void tls_prometheusVerifiesTheCertificate() throws Exception {
    Kustomize.assumeHere();
    JsonNode monitor =
        object(Rendered.alone("overlays/gpu", List.of("prometheus-operator", "tls")), "PodMonitor");
    JsonNode tls = monitor.at("/spec/podMetricsEndpoints/0/tlsConfig");
    JsonNode scraped =
        Manifests.read(
                Files.readString(
                    Kustomize.DEPLOY.resolve("prometheus/prometheus-kubernetes-tls.yml")))
            .get(0)
            .at("/scrape_configs/0/tls_config");

    assertThat(tls.at("/ca/secret/name").asText()).isEqualTo("dcgan-tls");
    assertThat(tls.at("/ca/secret/key").asText()).isEqualTo("ca.crt");
    assertThat(tls.at("/serverName").asText())
        .isEqualTo("dcgan-sampler.%s.svc".formatted(monitor.at("/metadata/namespace").asText()))
        .isEqualTo(scraped.path("server_name").asText());
    assertThat(scraped.path("ca_file").asText()).isEqualTo("ca.crt");
    assertThat(tls.toString() + scraped).doesNotContainIgnoringCase("skip");
  }

  private static JsonNode object(List<ObjectNode> trees, String kind) {
    return trees.stream()
        .filter(tree -> tree.path("kind").asText().startsWith(kind))
        .findFirst()
        .orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(strings = {"overlays/gpu", "jobs/train", "jobs/sweep", "jobs/export"})
  void objects_haveTheStandardLabels(String folder) throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees =
        new ArrayList<>(Manifests.read(Kustomize.render(Kustomize.KUBERNETES.resolve(folder))));
    trees.addAll(Rendered.storage());

    for (ObjectNode tree : trees) {
      assertThat(tree.at("/metadata/name").asText()).as(Manifests.name(tree)).contains("dcgan");
      assertThat(tree.at("/metadata/labels/app.kubernetes.io~1name").asText())
          .as(Manifests.name(tree))
          .startsWith("dcgan");
      assertThat(tree.at("/metadata/labels/app.kubernetes.io~1part-of").asText())
          .as(Manifests.name(tree))
          .isEqualTo("dcgan");
    }
  }

  @Test
  void gpu_isRequestedByEveryPod() throws Exception {
    Kustomize.assumeHere();
    List<ObjectNode> trees = new ArrayList<>(Rendered.with("overlays/gpu", List.of("annotations")));
    for (String job : List.of("train", "sweep", "export")) {
      trees.addAll(Manifests.read(Kustomize.render(Kustomize.KUBERNETES.resolve("jobs/" + job))));
    }

    for (Pods pods : Manifests.parse(trees).pods()) {
      Container container = pods.template().getSpec().getContainers().get(0);
      Map<String, String> environment = new TreeMap<>();
      container.getEnv().forEach(v -> environment.put(v.getName(), "" + v.getValue()));
      assertThat(container.getResources().getLimits())
          .as(pods.owner())
          .containsEntry("nvidia.com/gpu", new Quantity("1"));
      assertThat(pods.template().getSpec().getTolerations()).as(pods.owner()).hasSize(1);
      assertThat(pods.template().getSpec().getNodeSelector())
          .as(pods.owner())
          .containsOnlyKeys("kubernetes.io/arch", "nvidia.com/gpu.present");
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
