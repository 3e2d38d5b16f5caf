package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import io.fabric8.kubernetes.api.model.Quantity;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Checks what the types do not: enumerated values, required fields, and the form of names and
 * numbers, as an API server validates them.
 */
final class ValueCheck {

  private static final String DNS_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
  private static final String LABEL_VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?";

  /** The path of a text, which begins with the kind, and its allowed values. */
  private static final Map<Pattern, Pattern> TEXTS =
      patterns(
          ".*/metadata/name", DNS_LABEL,
          ".*/metadata/namespace", DNS_LABEL,
          ".*/(labels|matchLabels|nodeSelector|selector)/[^/]+", LABEL_VALUE,
          ".*/containers/\\d+/name|.*/volumes/\\d+/name", DNS_LABEL,
          ".*/ports/\\d+/name", "[a-z]([-a-z0-9]{0,13}[a-z0-9])?",
          ".*/env/\\d+/name", "[A-Z][A-Z0-9_]*",
          ".*/mountPath", "/[^:]+",
          "Namespace/metadata/labels/pod-security.kubernetes.io~1(enforce|warn|audit)",
              "restricted",
          "Deployment/spec/strategy/type", "RollingUpdate|Recreate",
          "Job/spec/template/spec/restartPolicy", "Never|OnFailure",
          "(Deployment|StatefulSet)/spec/template/spec/restartPolicy", "Always",
          "Job/spec/completionMode", "Indexed|NonIndexed",
          "Job/spec/podReplacementPolicy", "Failed", // The only one beside a podFailurePolicy.
          "Job/spec/podFailurePolicy/rules/\\d+/action", "Ignore|Count|FailJob|FailIndex",
          "Job/.*/onExitCodes/operator", "In|NotIn",
          "Job/.*/onPodConditions/\\d+/type", "DisruptionTarget|ConfigIssue",
          "Job/.*/onPodConditions/\\d+/status", "True|False|Unknown",
          ".*/fsGroupChangePolicy", "OnRootMismatch|Always",
          ".*/whenUnsatisfiable", "ScheduleAnyway|DoNotSchedule",
          ".*/topologyKey", "kubernetes\\.io/hostname|topology\\.kubernetes\\.io/zone",
          ".*/matchLabelKeys/\\d+", "pod-template-hash",
          ".*/tolerations/\\d+/operator", "Exists|Equal",
          ".*/tolerations/\\d+/effect", "NoSchedule|NoExecute|PreferNoSchedule",
          ".*/accessModes/\\d+", "ReadWriteOnce|ReadOnlyMany|ReadWriteMany|ReadWriteOncePod",
          ".*/imagePullPolicy", "Always|IfNotPresent|Never",
          ".*/protocol", "TCP|UDP|SCTP",
          ".*/policyTypes/\\d+", "Ingress|Egress",
          "Service/spec/type", "ClusterIP|NodePort|LoadBalancer|ExternalName",
          "Service/spec/clusterIP", "None",
          ".*/unhealthyPodEvictionPolicy", "AlwaysAllow|IfHealthyBudget",
          "Hor.*/metrics/\\d+/type", "Pods|Resource|ContainerResource|Object|External",
          "Hor.*/target/type", "AverageValue|Value|Utilization",
          "Hor.*/policies/\\d+/type", "Pods|Percent",
          "Hor.*/selectPolicy", "Max|Min|Disabled",
          "PodMonitor/.*/interval", "[0-9]+(ms|s|m)",
          ".*/fieldPath",
              "metadata\\.annotations\\['batch\\.kubernetes\\.io/job-completion-index'\\]");

  /** Path of a number to the form of it. */
  private static final Map<Pattern, Pattern> NUMBERS =
      patterns(
          ".*/(containerPort|grpc/port)|Service/spec/ports/\\d+/port",
          "[1-9]\\d{0,4}",
          ".*/(periodSeconds|timeoutSeconds|failureThreshold|maxSkew|minReplicas|maxReplicas|"
              + "completions|parallelism|terminationGracePeriodSeconds|ttlSecondsAfterFinished)",
          "[1-9]\\d*");

  /** Path of a quantity. */
  private static final Pattern QUANTITIES =
      Pattern.compile(".*/(requests|limits)/[^/]+|.*/(sizeLimit|averageValue)");

  /** Path of an object to the fields that it must have. */
  private static final Map<Pattern, List<String>> REQUIRED =
      required(
          "[A-Za-z]+", "apiVersion kind metadata",
          "[A-Za-z]+/metadata", "name",
          "Deployment/spec", "selector strategy template",
          "StatefulSet/spec", "replicas selector serviceName template",
          "Job/spec", "template podFailurePolicy podReplacementPolicy ttlSecondsAfterFinished",
          "Job/spec/template/spec", "restartPolicy",
          "Job/spec/podFailurePolicy/rules/\\d+", "action",
          "Job/.*/onExitCodes", "containerName operator values",
          "Job/.*/onPodConditions/\\d+", "type status",
          ".*/template/spec",
              "serviceAccountName terminationGracePeriodSeconds securityContext containers",
          ".*/containers/\\d+", "name image args resources securityContext volumeMounts",
          ".*/containers/\\d+/resources", "requests limits",
          ".*/containers/\\d+/resources/requests", "cpu memory",
          ".*/containers/\\d+/resources/limits", "memory",
          ".*/containers/\\d+/ports/\\d+", "name containerPort",
          ".*/containers/\\d+/env/\\d+", "name",
          ".*/volumeMounts/\\d+", "name mountPath",
          ".*/volumes/\\d+", "name",
          ".*/persistentVolumeClaim", "claimName",
          ".*/volumes/\\d+/secret", "secretName",
          ".*/volumes/\\d+/configMap", "name",
          ".*/emptyDir", "sizeLimit",
          ".*/topologySpreadConstraints/\\d+",
              "maxSkew topologyKey whenUnsatisfiable labelSelector",
          "Service/spec", "selector ports",
          "Service/spec/ports/\\d+", "name port targetPort",
          "PersistentVolumeClaim/spec|.*/volumeClaimTemplates/\\d+/spec", "accessModes resources",
          "PersistentVolumeClaim/spec/resources/requests", "storage",
          "HorizontalPodAutoscaler/spec", "scaleTargetRef minReplicas maxReplicas metrics behavior",
          "HorizontalPodAutoscaler/spec/metrics/\\d+/pods", "metric target",
          "HorizontalPodAutoscaler/.*/policies/\\d+", "type value periodSeconds",
          "PodDisruptionBudget/spec", "selector maxUnavailable",
          "NetworkPolicy/spec", "podSelector policyTypes",
          "NetworkPolicy/spec/ingress/\\d+", "from ports",
          "NetworkPolicy/spec/ingress/\\d+/ports/\\d+", "port protocol",
          "PodMonitor/spec", "selector podMetricsEndpoints",
          "PodMonitor/spec/podMetricsEndpoints/\\d+", "port path relabelings",
          "PrometheusRule/spec", "groups",
          "PrometheusRule/spec/groups/\\d+", "name rules",
          "PrometheusRule/spec/groups/\\d+/rules/\\d+", "expr");

  /** Path of an object that has exactly one of these fields. */
  private static final Map<Pattern, List<String>> ONE_OF =
      required(
          ".*/(startupProbe|livenessProbe|readinessProbe)", "grpc httpGet",
          ".*/env/\\d+", "value valueFrom",
          ".*/valueFrom", "fieldRef resourceFieldRef configMapKeyRef secretKeyRef",
          ".*/volumes/\\d+", "configMap emptyDir persistentVolumeClaim secret",
          "Job/spec", "backoffLimit backoffLimitPerIndex",
          "Job/spec/podFailurePolicy/rules/\\d+", "onExitCodes onPodConditions",
          "PrometheusRule/spec/groups/\\d+/rules/\\d+", "alert record");

  private ValueCheck() {}

  static List<String> problems(Manifests manifests) {
    List<String> problems = new ArrayList<>();
    for (JsonNode tree : manifests.trees()) {
      walk(Manifests.name(tree), tree.path("kind").asText(), tree, problems);
    }
    return problems;
  }

  private static void walk(String object, String path, JsonNode node, List<String> problems) {
    if (node.isTextual() || node.isNumber()) {
      check(object, path, node, problems);
    } else if (node.isNull()) {
      problems.add("%s: %s: empty".formatted(object, field(path)));
    } else if (node.isArray()) {
      for (int i = 0; i < node.size(); i++) {
        walk(object, path + "/" + i, node.get(i), problems);
      }
    } else if (node.isObject() && !path.matches("ConfigMap/data|.*/annotations")) {
      REQUIRED.forEach(
          (pattern, fields) -> {
            if (pattern.matcher(path).matches()) {
              for (String name : fields) {
                if (!node.has(name)) {
                  problems.add("%s: %s/%s: missing".formatted(object, field(path), name));
                }
              }
            }
          });
      ONE_OF.forEach(
          (pattern, fields) -> {
            if (pattern.matcher(path).matches() && fields.stream().filter(node::has).count() != 1) {
              problems.add("%s: %s: expected one of %s".formatted(object, field(path), fields));
            }
          });
      node.properties()
          .forEach(
              entry ->
                  walk(
                      object,
                      path + "/" + entry.getKey().replace("/", "~1"),
                      entry.getValue(),
                      problems));
    }
  }

  private static void check(String object, String path, JsonNode value, List<String> problems) {
    (value.isTextual() ? TEXTS : NUMBERS)
        .forEach(
            (pattern, allowed) -> {
              if (pattern.matcher(path).matches() && !allowed.matcher(value.asText()).matches()) {
                problems.add(
                    "%s: %s: '%s', expected %s"
                        .formatted(object, field(path), value.asText(), allowed));
              }
            });
    if (QUANTITIES.matcher(path).matches()) {
      try {
        Quantity.getAmountInBytes(new Quantity(value.asText()));
      } catch (IllegalArgumentException | ArithmeticException e) {
        problems.add("%s: %s: '%s' is no quantity".formatted(object, field(path), value.asText()));
      }
    }
  }

  /** Without the kind. */
  private static String field(String path) {
    return path.contains("/") ? path.substring(path.indexOf('/')) : "";
  }

  private static Map<Pattern, Pattern> patterns(String... pairs) {
    Map<Pattern, Pattern> patterns = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      patterns.put(Pattern.compile(pairs[i]), Pattern.compile(pairs[i + 1]));
    }
    return patterns;
  }

  private static Map<Pattern, List<String>> required(String... pairs) {
    Map<Pattern, List<String>> required = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      required.put(Pattern.compile(pairs[i]), List.of(pairs[i + 1].split(" ")));
    }
    return required;
  }
}
