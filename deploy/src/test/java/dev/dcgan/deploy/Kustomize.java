package dev.dcgan.deploy;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;

/** Renders a folder of {@code deploy/kubernetes} as {@code kubectl apply -k} would apply it. */
final class Kustomize {

  /** The folder in which the tests run. */
  static final Path DEPLOY = Path.of("").toAbsolutePath();

  static final Path KUBERNETES = DEPLOY.resolve("kubernetes");

  private Kustomize() {}

  /** Skips the test if there is no kubectl with kustomize 5, which supports components. */
  static void assumeHere() throws InterruptedException {
    String version;
    try {
      version = Program.run(DEPLOY, List.of("kubectl", "version", "--client"));
    } catch (IOException | AssertionError e) {
      version = "";
    }
    assumeTrue(version.contains("Kustomize Version: v5"), "there is no kubectl with kustomize 5");
  }

  /** Renders all objects as YAML documents; fails with the errors and warnings of kustomize. */
  static String render(Path folder) throws IOException, InterruptedException {
    return Program.run(DEPLOY, List.of("kubectl", "kustomize", folder.toString()));
  }

  /** Renders a folder after its kustomization had one component replaced by others. */
  static String render(String folder, String component, List<String> instead)
      throws IOException, InterruptedException {
    Path copy = Files.createTempDirectory("kustomize");
    try {
      for (String part : new String[] {"kubernetes", "grafana"}) {
        copy(DEPLOY.resolve(part), copy.resolve(part));
      }
      Path target = copy.resolve("kubernetes").resolve(folder);
      Path file = target.resolve("kustomization.yaml");
      String line = "  - ../../components/";
      String text = Files.readString(file);
      if (!text.contains(line + component)) {
        throw new IOException(file + " has no component " + component);
      }
      Files.writeString(
          file, text.replace(line + component, line + String.join("\n" + line, instead)));
      return render(target);
    } finally {
      delete(copy);
    }
  }

  /** Renders a kustomization in a folder beside the overlays. */
  static String renderOwn(String kustomization) throws IOException, InterruptedException {
    Path copy = Files.createTempDirectory("kustomize");
    try {
      for (String part : new String[] {"kubernetes", "grafana"}) {
        copy(DEPLOY.resolve(part), copy.resolve(part));
      }
      Path target = Files.createDirectory(copy.resolve("kubernetes/overlays/own"));
      Files.writeString(target.resolve("kustomization.yaml"), kustomization);
      return render(target);
    } finally {
      delete(copy);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (var files = Files.walk(from)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    try (var files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
