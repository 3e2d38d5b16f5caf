package dev.dcgan.deploy;

import dev.dcgan.deploy.Manifests.Pods;
import io.fabric8.kubernetes.api.model.Capabilities;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.PodSecurityContext;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.SecurityContext;
import java.util.ArrayList;
import java.util.List;

/**
 * Checks the pod security standard {@code restricted}, field by field, and further requirements: a
 * read-only root, no tokens, no variables that Kubernetes adds.
 *
 * @see <a href="https://kubernetes.io/docs/concepts/security/pod-security-standards/">Pod Security
 *     Standards</a>
 */
final class SecurityCheck {

  private static final long USER = 10001;

  private final String owner;
  private final List<String> problems = new ArrayList<>();

  private SecurityCheck(String owner) {
    this.owner = owner;
  }

  static List<String> problems(Manifests manifests) {
    return manifests.pods().stream().flatMap(pods -> problems(pods).stream()).toList();
  }

  private static List<String> problems(Pods pods) {
    SecurityCheck check = new SecurityCheck(pods.owner());
    check.pod(pods.template().getSpec());
    return check.problems;
  }

  private void require(boolean found, String field) {
    if (!found) {
      problems.add("%s: %s: not as restricted requires".formatted(owner, field));
    }
  }

  private void pod(PodSpec spec) {
    PodSecurityContext context = spec.getSecurityContext();
    require(Boolean.TRUE.equals(context.getRunAsNonRoot()), "securityContext/runAsNonRoot");
    require(Long.valueOf(USER).equals(context.getRunAsUser()), "securityContext/runAsUser");
    require(Long.valueOf(USER).equals(context.getRunAsGroup()), "securityContext/runAsGroup");
    require(Long.valueOf(USER).equals(context.getFsGroup()), "securityContext/fsGroup");
    require(
        context.getSeccompProfile() != null
            && "RuntimeDefault".equals(context.getSeccompProfile().getType()),
        "securityContext/seccompProfile");
    require(context.getSysctls().isEmpty(), "securityContext/sysctls");
    require(context.getSeLinuxOptions() == null, "securityContext/seLinuxOptions");
    require(context.getAppArmorProfile() == null, "securityContext/appArmorProfile");
    require(!Boolean.TRUE.equals(spec.getHostNetwork()), "hostNetwork");
    require(!Boolean.TRUE.equals(spec.getHostPID()), "hostPID");
    require(!Boolean.TRUE.equals(spec.getHostIPC()), "hostIPC");
    require(
        Boolean.FALSE.equals(spec.getAutomountServiceAccountToken()),
        "automountServiceAccountToken");
    require(Boolean.FALSE.equals(spec.getEnableServiceLinks()), "enableServiceLinks");
    require(spec.getInitContainers().isEmpty(), "initContainers");
    require(spec.getEphemeralContainers().isEmpty(), "ephemeralContainers");
    spec.getContainers().forEach(this::container);
  }

  private void container(Container container) {
    String at = container.getName() + "/securityContext/";
    SecurityContext context = container.getSecurityContext();
    require(
        Boolean.FALSE.equals(context.getAllowPrivilegeEscalation()),
        at + "allowPrivilegeEscalation");
    require(
        Boolean.TRUE.equals(context.getReadOnlyRootFilesystem()), at + "readOnlyRootFilesystem");
    require(!Boolean.TRUE.equals(context.getPrivileged()), at + "privileged");
    Capabilities capabilities = context.getCapabilities();
    require(
        capabilities != null
            && capabilities.getDrop().equals(List.of("ALL"))
            && capabilities.getAdd().isEmpty(),
        at + "capabilities");
    require(context.getProcMount() == null, at + "procMount");
    require(context.getRunAsNonRoot() == null, at + "runAsNonRoot"); // The context of the pod
    require(context.getRunAsUser() == null, at + "runAsUser"); // applies and is not overridden.
    require(context.getSeccompProfile() == null, at + "seccompProfile");
    require(context.getSeLinuxOptions() == null, at + "seLinuxOptions");
    require(
        container.getPorts().stream().allMatch(port -> port.getHostPort() == null),
        container.getName() + "/ports/hostPort");
    require(container.getLifecycle() == null, container.getName() + "/lifecycle");
  }
}
