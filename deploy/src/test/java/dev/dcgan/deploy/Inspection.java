package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs all checks on objects that are applied together. */
final class Inspection {

  private final Path scratch;

  /** Uses a scratch folder for the files that pods would see. */
  Inspection(Path scratch) {
    this.scratch = scratch;
  }

  /** Validator, each with its object and field; empty if there are none. */
  List<String> problems(List<ObjectNode> trees) throws IOException {
    Manifests manifests = Manifests.parse(trees);
    List<String> problems = new ArrayList<>(manifests.problems());
    problems.addAll(ValueCheck.problems(manifests));
    if (problems.isEmpty()) { // The next checks assume well-formed objects.
      problems.addAll(ReferenceCheck.problems(manifests));
      problems.addAll(SecurityCheck.problems(manifests));
      problems.addAll(MetricCheck.problems(manifests));
    }
    if (problems.isEmpty()) {
      problems.addAll(ProgramCheck.problems(manifests, scratch, secrets(manifests)));
    }
    return problems;
  }

  /** The files of the mounted Secrets. */
  private Map<String, Path> secrets(Manifests manifests) throws IOException {
    boolean mounted =
        manifests.pods().stream()
            .flatMap(pods -> pods.template().getSpec().getVolumes().stream())
            .anyMatch(volume -> volume.getSecret() != null);
    return mounted
        ? Map.of("dcgan-tls", TlsSecret.in(Files.createTempDirectory(scratch, "tls")))
        : Map.of();
  }
}
