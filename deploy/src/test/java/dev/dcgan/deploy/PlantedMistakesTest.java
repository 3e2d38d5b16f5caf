package dev.dcgan.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests that {@link KubernetesTest} finds mistakes, planted one at a time in valid objects. */
@TestInstance(Lifecycle.PER_CLASS)
class PlantedMistakesTest {

  private static final String POD = "/spec/template/spec/";
  private static final String CONTAINER = POD + "containers/0/";

  private final List<ObjectNode> valid = new ArrayList<>();

  @TempDir private Path scratch;

  @BeforeAll
  void render() throws Exception {
    Kustomize.assumeHere();
    valid.addAll(Rendered.with("overlays/gpu", List.of("prometheus-operator")));
    for (String job : List.of("train", "sweep")) {
      valid.addAll(Rendered.alone("jobs/" + job, List.of("trainer-gpu", "annotations")));
    }
    valid.addAll(Rendered.alone("jobs/export", List.of("sampler-gpu", "annotations")));
  }

  /** An object, a field (a JSON pointer), its planted value, and the expected problem. */
  static Stream<Arguments> mistakes() {
    return Stream.of(
        // Types
        arguments("Deployment dcgan-sampler", "/spec/replica", "3", "/spec/replica: unknown field"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "readinesProbe",
            "{grpc: {port: 50051}}",
            "/readinesProbe: unknown field"),
        arguments(
            "StatefulSet dcgan-trainer",
            "/spec/volumeClaimTemplates/0/spec/storageClass",
            "fast",
            "/spec/volumeClaimTemplates/0/spec/storageClass: unknown field"),
        arguments("PodMonitor dcgan", "/spec/jobLable", "x", "/spec/jobLable: unknown field"),
        arguments(
            "PodMonitor dcgan",
            "/spec/podMetricsEndpoints/0/relabelings/0/replacement",
            "x-$1",
            "relabelings: job is 'x-dcgan-sampler' for Deployment dcgan-sampler"),
        arguments(
            "PrometheusRule dcgan",
            "/spec/groups/0/rules/0/serverity",
            "critical",
            "/spec/groups/0/rules/0/serverity: unknown field"),
        arguments("Deployment dcgan-sampler", CONTAINER + "args", "serve", "/args: "),
        arguments("Deployment dcgan-sampler", CONTAINER + "env/1/value", "256", "/env/1/value: "),
        arguments(
            "Service dcgan-sampler", "/spec/ports/0/port", "\"grpc\"", "/spec/ports/0/port: "),
        arguments("Job dcgan-train", "/spec/backoffLimit", "\"3\"", "/spec/backoffLimit: "),
        arguments("Job dcgan-train", "/apiVersion", "batch/v2", "unknown kind"),
        // Values
        arguments("Job dcgan-train", POD + "restartPolicy", "never", "/restartPolicy: 'never'"),
        arguments(
            "HorizontalPodAutoscaler dcgan-sampler",
            "/spec/metrics/0/pods/target/type",
            "Average",
            "/spec/metrics/0/pods/target/type: 'Average'"),
        arguments(
            "NetworkPolicy dcgan-default-deny",
            "/spec/policyTypes/1",
            "Outgress",
            "/spec/policyTypes/1: 'Outgress'"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "resources/limits/memory",
            "1Gx",
            "/resources/limits/memory: '1Gx' is no quantity"),
        arguments(
            "Service dcgan-sampler", "/spec/ports/0/targetPort", null, "/targetPort: missing"),
        arguments(
            "Service dcgan-sampler", "/spec/ports/0/name", "gRPC", "/spec/ports/0/name: 'gRPC'"),
        // References
        arguments(
            "Service dcgan-sampler-pods",
            "/spec/selector/app.kubernetes.io~1name",
            "samplr",
            "spec/selector: "),
        arguments(
            "Service dcgan-trainer",
            "/spec/selector/app.kubernetes.io~1component",
            null,
            "spec/selector: "),
        arguments(
            "Service dcgan-sampler",
            "/spec/ports/1/targetPort",
            "htp",
            "spec/ports/http: Deployment dcgan-sampler has no port htp"),
        arguments(
            "StatefulSet dcgan-trainer",
            POD + "volumes/0/persistentVolumeClaim/claimName",
            "modles",
            "volumes/models: no PersistentVolumeClaim modles"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "volumeMounts/0/name",
            "model",
            "volumeMounts: no volume model"),
        arguments(
            "Deployment dcgan-sampler",
            POD + "serviceAccountName",
            "sampl",
            "serviceAccountName: no ServiceAccount sampl"),
        arguments(
            "StatefulSet dcgan-trainer",
            "/spec/serviceName",
            "train",
            "spec/serviceName: no Service"),
        arguments(
            "Job dcgan-sweep", POD + "volumes/2/configMap/name", "sweeps", "no ConfigMap sweeps"),
        arguments(
            "HorizontalPodAutoscaler dcgan-sampler",
            "/spec/scaleTargetRef/kind",
            "StatefulSet",
            "spec/scaleTargetRef: no StatefulSet dcgan-sampler"),
        arguments(
            "HorizontalPodAutoscaler dcgan-sampler",
            "/spec/metrics/0/pods/metric/name",
            "sampler_queue_images",
            "spec/metrics: no rule of prometheus/adapter.yaml exposes sampler_queue_images"),
        arguments(
            "PodDisruptionBudget dcgan-sampler",
            "/spec/selector/matchLabels/app.kubernetes.io~1name",
            "samplers",
            "spec/selector: "),
        arguments(
            "NetworkPolicy dcgan-sampler-callers",
            "/spec/podSelector/matchLabels/app.kubernetes.io~1component",
            "server",
            "spec/podSelector: "),
        arguments(
            "NetworkPolicy dcgan-prometheus",
            "/spec/ingress/0/ports/0/port",
            "metrics",
            "spec/ingress/ports: no port metrics"),
        arguments(
            "PodMonitor dcgan",
            "/spec/podMetricsEndpoints/0/port",
            "metrics",
            "Deployment dcgan-sampler is not scraped"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "livenessProbe/grpc/port",
            "50061",
            "livenessProbe: no port 50061"),
        arguments(
            "Job dcgan-train",
            "/spec/podFailurePolicy/rules/0/onExitCodes/containerName",
            "train",
            "podFailurePolicy: no container train"),
        arguments(
            "Job dcgan-train",
            "/spec/template/metadata/annotations/prometheus.io~1port",
            "\"9402\"",
            "annotations/prometheus.io/port: http is not on port 9402"),
        arguments(
            "Deployment dcgan-sampler",
            "/metadata/namespace",
            "dcgn",
            "metadata/namespace: no Namespace"),
        // Pod security
        arguments(
            "Job dcgan-export",
            CONTAINER + "securityContext/readOnlyRootFilesystem",
            null,
            "sampler/securityContext/readOnlyRootFilesystem: not as restricted requires"),
        arguments(
            "StatefulSet dcgan-trainer",
            POD + "securityContext/seccompProfile",
            null,
            "securityContext/seccompProfile: not as restricted requires"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "securityContext/capabilities/add",
            "[NET_ADMIN]",
            "sampler/securityContext/capabilities: not as restricted requires"),
        // The programs
        arguments("Deployment dcgan-sampler", CONTAINER + "args/0", "server", "'server'"),
        arguments("Job dcgan-train", CONTAINER + "args/1", "--rum=digits", "'--rum=digits'"),
        arguments(
            "Job dcgan-train", CONTAINER + "args/3", "--preset=mnist27", "--preset 'mnist27'"),
        arguments(
            "Job dcgan-train",
            "/spec/podFailurePolicy/rules/2/onExitCodes/values",
            "[2]",
            "podFailurePolicy: fails at [2], expected [2, 65]"),
        arguments(
            "Job dcgan-sweep",
            "/spec/podFailurePolicy/rules/0/onExitCodes/values",
            "[65, 75]",
            "podFailurePolicy: ignores [65, 75], expected [75]"),
        arguments(
            "Job dcgan-export",
            "/spec/podFailurePolicy/rules/0/onExitCodes/values",
            "[143]",
            "podFailurePolicy: ignores [143], expected [75]"),
        arguments("Job dcgan-export", CONTAINER + "args/3", "--count=many", "--count"),
        arguments(
            "Job dcgan-export",
            CONTAINER + "args/4",
            "--parts=9",
            "completions: 8, and no --parts=8"),
        arguments(
            "Job dcgan-sweep",
            CONTAINER + "args/5",
            "\"@/etc/dcgan/sweep/run$(INDEX)\"",
            "cannot read the file of arguments"),
        arguments(
            "Job dcgan-sweep",
            CONTAINER + "args/1",
            "--run=sweep-$(INDX)",
            "no variable INDX before it"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "env/1/name",
            "DCGAN_MODEL_MEMROY",
            "no option --model-memroy of serve"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "env/4/value",
            "5 minutes",
            "DCGAN_MAX_CONNECTION_AGE"),
        arguments(
            "StatefulSet dcgan-trainer",
            CONTAINER + "env/1/value",
            "/run",
            "env/DCGAN_RUNS: /run is on no volume"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "volumeMounts/0/readOnly",
            null,
            "volumeMounts/models: readOnly is not true"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "readinessProbe/grpc/service",
            "dcgan.Sampler",
            "readinessProbe/grpc/service: 'dcgan.Sampler'"),
        arguments(
            "Deployment dcgan-sampler",
            POD + "terminationGracePeriodSeconds",
            "80",
            "terminationGracePeriodSeconds: 80, but shutdown may take 83 s"),
        arguments(
            "Deployment dcgan-sampler",
            CONTAINER + "image",
            "sampler",
            "image: sampler is none of"));
  }

  @ParameterizedTest(name = "{0} {1} = {2}")
  @MethodSource("mistakes")
  void mistake_isFound(String object, String field, String value, String problem) throws Exception {
    List<ObjectNode> trees = new ArrayList<>();
    valid.forEach(tree -> trees.add(tree.deepCopy()));
    ObjectNode target =
        trees.stream()
            .filter(tree -> (Manifests.name(tree) + "-").startsWith(object + "-"))
            .findFirst()
            .orElseThrow();
    plant(target, field, value);
    assertThat(trees).isNotEqualTo(valid);

    List<String> problems = new Inspection(scratch).problems(trees);

    assertThat(problems)
        .anySatisfy(line -> assertThat(line).startsWith(object.split("-", 2)[0]).contains(problem));
  }

  private static void plant(ObjectNode tree, String field, String value) throws Exception {
    int end = field.lastIndexOf('/');
    JsonNode parent = tree.at(field.substring(0, end));
    String name = field.substring(end + 1).replace("~1", "/");
    JsonNode planted =
        value == null ? null : Manifests.read("{value: " + value + "}").get(0).get("value");
    if (parent instanceof ArrayNode list) {
      list.set(Integer.parseInt(name), planted);
    } else if (planted == null) {
      ((ObjectNode) parent).remove(name);
    } else {
      ((ObjectNode) parent).set(name, planted);
    }
  }
}
