package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.server.access.AccessRules;
import dev.dcgan.server.access.Role;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class AccessRulesTest {

  private static final Pattern ROW = Pattern.compile("(?m)^\\| `([^`]+)` \\| (.*?) \\|$");

  @Test
  void everyMethod_hasARule_andEveryRuleAMethod() {
    Set<String> methods =
        Stream.of(
                HealthGrpc.getServiceDescriptor(),
                ServerReflectionGrpc.getServiceDescriptor(),
                io.grpc.reflection.v1alpha.ServerReflectionGrpc.getServiceDescriptor(),
                SamplerServiceGrpc.getServiceDescriptor(),
                TrainerServiceGrpc.getServiceDescriptor(),
                GRPCInferenceServiceGrpc.getServiceDescriptor())
            .map(ServiceDescriptor::getMethods)
            .flatMap(found -> found.stream().map(MethodDescriptor::getFullMethodName))
            .collect(Collectors.toSet());
    Set<String> rules =
        AccessRules.all().keySet().stream()
            .filter(rule -> rule.indexOf(' ') < 0)
            .collect(Collectors.toSet());
    assertThat(rules).isEqualTo(methods);
  }

  @Test
  void theReadme_hasTheSameTable() throws IOException {
    String readme = Files.readString(Path.of("../README.md"));
    String section = readme.substring(readme.indexOf("### Roles"));
    Map<String, String> documented = new LinkedHashMap<>();
    for (MatchResult row : ROW.matcher(section).results().toList()) {
      documented.put(row.group(1), row.group(2));
    }
    Map<String, String> expected = new LinkedHashMap<>();
    AccessRules.all().forEach((what, roles) -> expected.put(what, text(roles)));
    assertThat(documented).containsExactlyEntriesOf(expected);
  }

  private static String text(Set<Role> roles) {
    if (roles.isEmpty()) {
      return "open to all";
    }
    if (roles.size() == Role.values().length) {
      return "any role";
    }
    return roles.stream()
        .sorted()
        .map(role -> "`" + role.label() + "`")
        .collect(Collectors.joining(", "));
  }
}
