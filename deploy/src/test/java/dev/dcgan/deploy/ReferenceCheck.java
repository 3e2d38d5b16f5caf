package dev.dcgan.deploy;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import dev.dcgan.deploy.Manifests.Pods;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerPort;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.ServicePort;
import io.fabric8.kubernetes.api.model.TopologySpreadConstraint;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.StatefulSet;
import io.fabric8.kubernetes.api.model.autoscaling.v2.HorizontalPodAutoscaler;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.PodFailurePolicyRule;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicyIngressRule;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicyPort;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.openshift.api.model.monitoring.v1.PodMetricsEndpoint;
import io.fabric8.openshift.api.model.monitoring.v1.PodMonitor;
import io.fabric8.openshift.api.model.monitoring.v1.RelabelConfig;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Checks that the objects that other objects refer to exist: pods by label, ports, claims, keys and
 * service accounts.
 */
final class ReferenceCheck {

  /** Secrets that operators create. */
  private static final Set<String> SECRETS = Set.of("dcgan-tls");

  /** The job labels that the rules and dashboards select by. */
  private static final Set<String> JOBS = Set.of("dcgan-sampler", "dcgan-trainer");

  private static final String POD_LABEL = "__meta_kubernetes_pod_label_";

  private static final String PROMETHEUS = "prometheus.io/";

  private final Manifests manifests;
  private final List<String> problems = new ArrayList<>();

  private ReferenceCheck(Manifests manifests) {
    this.manifests = manifests;
  }

  static List<String> problems(Manifests manifests) {
    ReferenceCheck check = new ReferenceCheck(manifests);
    check.objects();
    check.manifests.pods().forEach(check::pods);
    check.manifests.of(Deployment.class).forEach(o -> check.own(o, o.getSpec().getSelector()));
    check.manifests.of(StatefulSet.class).forEach(check::statefulSet);
    check.manifests.of(Job.class).forEach(check::job);
    check.manifests.of(Service.class).forEach(check::service);
    check
        .manifests
        .of(PodDisruptionBudget.class)
        .forEach(
            o -> check.selected(o, "spec/selector", o.getSpec().getSelector().getMatchLabels()));
    check.manifests.of(HorizontalPodAutoscaler.class).forEach(check::autoscaler);
    check.manifests.of(NetworkPolicy.class).forEach(check::networkPolicy);
    check.manifests.of(PodMonitor.class).forEach(check::podMonitor);
    return check.problems;
  }

  @FormatMethod
  private void add(String object, @FormatString String line, Object... values) {
    problems.add(object + ": " + line.formatted(values));
  }

  private void objects() {
    Set<String> seen = new HashSet<>();
    for (HasMetadata object : manifests.objects()) {
      String name = Manifests.name(object);
      if (!seen.add(name)) {
        add(name, "there twice");
      }
      if (!(object instanceof Namespace)
          && !manifests.has(Namespace.class, object.getMetadata().getNamespace())) {
        add(name, "metadata/namespace: no Namespace %s", object.getMetadata().getNamespace());
      }
    }
  }

  private void pods(Pods pods) {
    String owner = pods.owner();
    PodSpec spec = pods.template().getSpec();
    if (!manifests.has(ServiceAccount.class, spec.getServiceAccountName())) {
      add(owner, "serviceAccountName: no ServiceAccount %s", spec.getServiceAccountName());
    }
    for (TopologySpreadConstraint spread : spec.getTopologySpreadConstraints()) {
      if (!pods.areSelectedBy(spread.getLabelSelector().getMatchLabels())) {
        add(owner, "topologySpreadConstraints/labelSelector: not its own pods");
      }
    }
    Set<String> volumes = new HashSet<>();
    spec.getVolumes()
        .forEach(
            volume -> {
              volume(owner, volume);
              once(owner, "volumes", volumes, volume.getName());
            });
    pods.claims().forEach(claim -> once(owner, "volumes", volumes, claim.getMetadata().getName()));
    Set<String> mounted = new HashSet<>();
    for (Container container : spec.getContainers()) {
      container(owner, container);
      container.getVolumeMounts().stream().map(VolumeMount::getName).forEach(mounted::add);
    }
    for (String mount : mounted) {
      if (!volumes.contains(mount)) {
        add(owner, "volumeMounts: no volume %s", mount);
      }
    }
    for (String volume : volumes) {
      if (!mounted.contains(volume)) {
        add(owner, "volumes: %s is not mounted", volume);
      }
    }
    annotations(pods);
  }

  private void volume(String owner, Volume volume) {
    if (volume.getPersistentVolumeClaim() != null
        && !manifests.has(
            PersistentVolumeClaim.class, volume.getPersistentVolumeClaim().getClaimName())) {
      add(
          owner,
          "volumes/%s: no PersistentVolumeClaim %s",
          volume.getName(),
          volume.getPersistentVolumeClaim().getClaimName());
    }
    if (volume.getConfigMap() != null) {
      volume
          .getConfigMap()
          .getItems()
          .forEach(item -> configMap(owner, volume.getConfigMap().getName(), item.getKey()));
      configMap(owner, volume.getConfigMap().getName(), null);
    }
    if (volume.getSecret() != null && !SECRETS.contains(volume.getSecret().getSecretName())) {
      add(owner, "volumes/%s: no Secret %s", volume.getName(), volume.getSecret().getSecretName());
    }
  }

  private void configMap(String owner, String name, @Nullable String key) {
    Optional<ConfigMap> found =
        manifests.of(ConfigMap.class).stream()
            .filter(map -> map.getMetadata().getName().equals(name))
            .findFirst();
    if (found.isEmpty()) {
      add(owner, "no ConfigMap %s", name);
    } else if (key != null && !found.get().getData().containsKey(key)) {
      add(owner, "ConfigMap %s has no key %s", name, key);
    }
  }

  private void container(String owner, Container container) {
    Set<String> names = new HashSet<>();
    for (EnvVar variable : container.getEnv()) {
      once(owner, "env", names, variable.getName());
      if (variable.getValueFrom() == null) {
        continue;
      }
      if (variable.getValueFrom().getConfigMapKeyRef() != null) {
        var reference = variable.getValueFrom().getConfigMapKeyRef();
        configMap(owner, reference.getName(), reference.getKey());
      }
      if (variable.getValueFrom().getResourceFieldRef() != null) {
        String resource = variable.getValueFrom().getResourceFieldRef().getResource();
        Map<String, Quantity> requests = container.getResources().getRequests();
        if (!resource.startsWith("requests.")
            || !requests.containsKey(resource.substring("requests.".length()))) {
          add(owner, "env/%s: no resource %s", variable.getName(), resource);
        }
      }
    }
    Set<String> paths = new HashSet<>();
    container.getVolumeMounts().forEach(m -> once(owner, "volumeMounts", paths, m.getMountPath()));
    Set<String> ports = new HashSet<>();
    container.getPorts().forEach(port -> once(owner, "ports", ports, port.getName()));
    probe(owner, container, "startupProbe", container.getStartupProbe());
    probe(owner, container, "livenessProbe", container.getLivenessProbe());
    probe(owner, container, "readinessProbe", container.getReadinessProbe());
    container
        .getResources()
        .getLimits()
        .forEach(
            (resource, limit) -> {
              Quantity request = container.getResources().getRequests().get(resource);
              if (request != null
                  && Quantity.getAmountInBytes(request).compareTo(Quantity.getAmountInBytes(limit))
                      > 0) {
                add(owner, "resources/requests/%s: %s is over the limit", resource, request);
              }
            });
  }

  private void once(String owner, String field, Set<String> seen, String name) {
    if (!seen.add(name)) {
      add(owner, "%s: %s is there twice", field, name);
    }
  }

  private void probe(String owner, Container container, String name, @Nullable Probe probe) {
    if (probe != null) {
      IntOrString port =
          probe.getHttpGet() != null
              ? probe.getHttpGet().getPort()
              : new IntOrString(probe.getGrpc().getPort());
      if (port(container, port).isEmpty()) {
        add(owner, "%s: no port %s", name, port.getValue());
      }
    }
  }

  private static Optional<ContainerPort> port(Container container, IntOrString port) {
    return container.getPorts().stream()
        .filter(
            p ->
                port.getValue().equals(p.getName()) || port.getValue().equals(p.getContainerPort()))
        .findFirst();
  }

  private static boolean hasPort(Pods pods, IntOrString port) {
    return pods.template().getSpec().getContainers().stream()
        .anyMatch(container -> port(container, port).isPresent());
  }

  private void annotations(Pods pods) {
    Map<String, String> annotations = pods.template().getMetadata().getAnnotations();
    String port = annotations.get(PROMETHEUS + "port");
    if (port != null
        && pods.template().getSpec().getContainers().stream()
            .flatMap(container -> container.getPorts().stream())
            .noneMatch(
                p -> p.getName().equals("http") && port.equals(p.getContainerPort().toString()))) {
      add(pods.owner(), "annotations/%sport: http is not on port %s", PROMETHEUS, port);
    }
  }

  private void own(HasMetadata object, LabelSelector selector) {
    String name = Manifests.name(object);
    List<String> owners =
        manifests.pods(selector.getMatchLabels()).stream().map(Pods::owner).toList();
    if (!owners.equals(List.of(name))) {
      add(name, "spec/selector: selects the pods of %s", owners);
    }
  }

  private void statefulSet(StatefulSet set) {
    own(set, set.getSpec().getSelector());
    if (!manifests.has(Service.class, set.getSpec().getServiceName())) {
      add(Manifests.name(set), "spec/serviceName: no Service %s", set.getSpec().getServiceName());
    }
  }

  private void job(Job job) {
    String name = Manifests.name(job);
    Set<String> containers =
        job.getSpec().getTemplate().getSpec().getContainers().stream()
            .map(Container::getName)
            .collect(Collectors.toSet());
    boolean indexed = "Indexed".equals(job.getSpec().getCompletionMode());
    for (PodFailurePolicyRule rule : job.getSpec().getPodFailurePolicy().getRules()) {
      if (rule.getOnExitCodes() != null
          && !containers.contains(rule.getOnExitCodes().getContainerName())) {
        add(name, "podFailurePolicy: no container %s", rule.getOnExitCodes().getContainerName());
      }
      if ("FailIndex".equals(rule.getAction()) && job.getSpec().getBackoffLimitPerIndex() == null) {
        add(name, "podFailurePolicy: FailIndex without backoffLimitPerIndex");
      }
    }
    if (job.getSpec().getBackoffLimitPerIndex() != null && !indexed) {
      add(name, "backoffLimitPerIndex: not Indexed");
    }
    if (indexed && job.getSpec().getCompletions() == null) {
      add(name, "completions: missing");
    }
    if (!"Never".equals(job.getSpec().getTemplate().getSpec().getRestartPolicy())) {
      add(name, "restartPolicy: Never, beside a podFailurePolicy");
    }
  }

  /** The pods that a selector selects, which must be those of one object. */
  private List<Pods> selected(HasMetadata object, String field, Map<String, String> selector) {
    List<Pods> pods = manifests.pods(selector);
    if (selector.isEmpty() || pods.size() != 1) {
      add(
          Manifests.name(object),
          "%s: %s selects the pods of %s, expected those of one",
          field,
          selector,
          pods.stream().map(Pods::owner).toList());
    }
    return pods;
  }

  private void service(Service service) {
    for (Pods pods : selected(service, "spec/selector", service.getSpec().getSelector())) {
      for (ServicePort port : service.getSpec().getPorts()) {
        if (!hasPort(pods, port.getTargetPort())) {
          add(
              Manifests.name(service),
              "spec/ports/%s: %s has no port %s",
              port.getName(),
              pods.owner(),
              port.getTargetPort().getValue());
        }
      }
    }
  }

  private void autoscaler(HorizontalPodAutoscaler scaler) {
    var target = scaler.getSpec().getScaleTargetRef();
    if (manifests.objects().stream()
        .noneMatch(
            object ->
                Manifests.name(object).equals(target.getKind() + " " + target.getName())
                    && object.getApiVersion().equals(target.getApiVersion()))) {
      add(
          Manifests.name(scaler),
          "spec/scaleTargetRef: no %s %s of %s",
          target.getKind(),
          target.getName(),
          target.getApiVersion());
    }
    if (scaler.getSpec().getMinReplicas() > scaler.getSpec().getMaxReplicas()) {
      add(Manifests.name(scaler), "spec/minReplicas: over maxReplicas");
    }
  }

  private void networkPolicy(NetworkPolicy policy) {
    String name = Manifests.name(policy);
    List<Pods> pods = manifests.pods(policy.getSpec().getPodSelector().getMatchLabels());
    if (pods.isEmpty()) {
      add(
          name,
          "spec/podSelector: %s selects no pods",
          policy.getSpec().getPodSelector().getMatchLabels());
    }
    for (NetworkPolicyIngressRule rule : policy.getSpec().getIngress()) {
      for (NetworkPolicyPort port : rule.getPorts()) {
        if (pods.stream().noneMatch(p -> hasPort(p, port.getPort()))) {
          add(name, "spec/ingress/ports: no port %s", port.getPort().getValue());
        }
      }
    }
    if (!policy.getSpec().getEgress().isEmpty()
        && !pods.stream().allMatch(ReferenceCheck::sendsTraces)) {
      add(name, "spec/egress: neither program calls out, except to send traces");
    }
  }

  private static boolean sendsTraces(Pods pods) {
    return pods.template().getSpec().getContainers().stream()
        .flatMap(container -> container.getEnv().stream())
        .anyMatch(variable -> variable.getName().equals("OTEL_EXPORTER_OTLP_ENDPOINT"));
  }

  private void podMonitor(PodMonitor monitor) {
    String name = Manifests.name(monitor);
    for (PodMetricsEndpoint endpoint : monitor.getSpec().getPodMetricsEndpoints()) {
      Map<String, Pods> watched =
          manifests.pods(monitor.getSpec().getSelector().getMatchLabels()).stream()
              .filter(pods -> hasPort(pods, new IntOrString(endpoint.getPort())))
              .collect(Collectors.toMap(Pods::owner, Function.identity()));
      for (Pods pods : manifests.pods()) {
        boolean serves =
            pods.template().getSpec().getContainers().stream()
                .anyMatch(c -> !c.getPorts().isEmpty());
        if (serves && !watched.containsKey(pods.owner())) {
          add(
              name,
              "%s is not scraped: no port %s, or not selected",
              pods.owner(),
              endpoint.getPort());
        }
      }
      for (Pods pods : watched.values()) {
        String job = job(endpoint, pods);
        if (!JOBS.contains(job)) {
          add(name, "relabelings: job is '%s' for %s", job, pods.owner());
        }
      }
    }
  }

  /** The job label that the relabeling sets: $1 in its replacement is the value of a pod label. */
  private static String job(PodMetricsEndpoint endpoint, Pods pods) {
    for (RelabelConfig relabeling : endpoint.getRelabelings()) {
      if ("job".equals(relabeling.getTargetLabel())) {
        String source = relabeling.getSourceLabels().get(0);
        return pods.labels().entrySet().stream()
            .filter(label -> source.equals(POD_LABEL + label.getKey().replaceAll("[./-]", "_")))
            .map(label -> relabeling.getReplacement().replace("$1", label.getValue()))
            .findFirst()
            .orElse("");
      }
    }
    return "";
  }
}
