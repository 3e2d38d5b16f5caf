package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Checks a ScaledObject of KEDA as strictly as an API server and KEDA: unknown fields, values of
 * other types and missing fields are problems. There is no model of KEDA's objects, so the fields
 * are listed here.
 *
 * <p>Sources: the custom resource definition keda.sh_scaledobjects.yaml; the ScaledObject
 * specification of KEDA 2.17 (keda.sh/docs/2.17/reference/scaledobject-spec), the first with {@code
 * fallback.behavior}; that of its Prometheus scaler (keda.sh/docs/2.17/scalers/prometheus).
 */
final class ScaledObjectCheck {

  static final String TYPE = "keda.sh/v1alpha1 ScaledObject";

  /** A field's type; with {@code !} it is required where its parent is present. */
  private static final Map<String, String> FIELDS = new TreeMap<>();

  static {
    add("", "apiVersion=text! kind=text! metadata=any! spec=object!");
    add("/spec", "scaleTargetRef=object! triggers=list! advanced=object fallback=object");
    add("/spec", "pollingInterval=count cooldownPeriod=count initialCooldownPeriod=count");
    add("/spec", "idleReplicaCount=count minReplicaCount=count maxReplicaCount=count");
    add("/spec/scaleTargetRef", "name=text! apiVersion=text kind=text envSourceContainerName=text");
    add("/spec/fallback", "failureThreshold=count! replicas=count! behavior=fallback");
    add(
        "/spec/advanced",
        "restoreToOriginalReplicaCount=flag horizontalPodAutoscalerConfig=object");
    // The behavior is that of the HorizontalPodAutoscaler, which KubernetesTest compares.
    add("/spec/advanced/horizontalPodAutoscalerConfig", "name=text behavior=any");
    add("/spec/triggers", "type=scaler! metadata=object! name=text metricType=metric");
    add("/spec/triggers", "useCachedMetrics=flag authenticationRef=object");
    add("/spec/triggers/authenticationRef", "name=text! kind=text");
    add("/spec/triggers/metadata", "serverAddress=url! query=text! threshold=number!");
    add("/spec/triggers/metadata", "activationThreshold=number namespace=text timeout=number");
    add("/spec/triggers/metadata", "ignoreNullValues=flagText unsafeSsl=flagText authModes=text");
    add("/spec/triggers/metadata", "customHeaders=text queryParameters=text");
  }

  private ScaledObjectCheck() {}

  private static void add(String parent, String fields) {
    for (String field : fields.split(" ", -1)) {
      String[] type = field.split("=", 2);
      FIELDS.put(parent + "/" + type[0], type[1]);
    }
  }

  /** Problems, each with its object and field. */
  static List<String> problems(ObjectNode object) {
    List<String> problems = new ArrayList<>();
    check(object, "", problems);
    JsonNode spec = object.path("spec");
    int min = spec.path("minReplicaCount").asInt(0);
    if (min > spec.path("maxReplicaCount").asInt(100)) {
      problems.add("/spec/maxReplicaCount: less than minReplicaCount, " + min);
    }
    if (spec.has("idleReplicaCount") && spec.path("idleReplicaCount").asInt() >= min) {
      problems.add("/spec/idleReplicaCount: expected less than minReplicaCount, " + min);
    }
    return problems.stream().map(problem -> Manifests.name(object) + ": " + problem).toList();
  }

  private static void check(JsonNode parent, String path, List<String> problems) {
    for (Map.Entry<String, JsonNode> field : parent.properties()) {
      String name = path + "/" + field.getKey();
      String type = FIELDS.get(name);
      if (type == null) {
        problems.add(name + ": unknown field");
      } else if (!isOf(type.replace("!", ""), field.getValue())) {
        problems.add("%s: %s; expected %s".formatted(name, field.getValue(), type));
      } else if (type.startsWith("object")) {
        check(field.getValue(), name, problems);
      } else if (type.startsWith("list")) {
        field.getValue().forEach(item -> check(item, name, problems));
      }
    }
    FIELDS.forEach(
        (field, type) -> {
          int last = field.lastIndexOf('/');
          boolean missing = type.endsWith("!") && !parent.has(field.substring(last + 1));
          if (field.substring(0, last).equals(path) && missing) {
            problems.add(field + ": missing");
          }
        });
  }

  private static boolean isOf(String type, JsonNode value) {
    String text = value.isTextual() ? value.asText() : "";
    return switch (type) {
      case "any", "object" -> value.isObject();
      case "list" -> value.isArray() && !value.isEmpty();
      case "text" -> !text.isBlank();
      case "count" -> value.isInt() && value.asInt() >= 0;
      case "flag" -> value.isBoolean();
      // All metadata of a trigger are texts.
      case "flagText" -> Set.of("true", "false").contains(text);
      case "number" -> text.matches("[0-9]+(\\.[0-9]+)?");
      case "url" -> text.matches("https?://[a-z0-9.-]+(:[0-9]+)?(/.*)?");
      case "scaler" -> text.equals("prometheus"); // The only one whose metadata are listed.
      case "metric" -> Set.of("AverageValue", "Value").contains(text);
      case "fallback" ->
          Set.of("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower")
              .contains(text);
      default -> throw new IllegalArgumentException(type);
    };
  }
}
