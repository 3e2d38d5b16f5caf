package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The objects of an overlay or a job with selected components. Not thread-safe. */
final class Rendered {

  /** The component of each folder that others replace. */
  private static final Map<String, String> OWN =
      Map.of(
          "overlays/cpu", "annotations",
          "overlays/gpu", "prometheus-operator",
          "overlays/gpu-training", "prometheus-operator",
          "jobs/train", "trainer-gpu",
          "jobs/sweep", "trainer-gpu",
          "jobs/export", "sampler-gpu");

  // Mutable state
  private static final Map<String, String> rendered = new HashMap<>();

  private Rendered() {}

  /** The objects of an overlay, or of a job together with an overlay, and those of the storage. */
  static List<ObjectNode> with(String folder, List<String> components)
      throws IOException, InterruptedException {
    List<ObjectNode> trees = new ArrayList<>(alone(folder, components));
    trees.addAll(storage());
    if (folder.startsWith("jobs/")) {
      trees.addAll(alone("overlays/gpu", List.of("prometheus-operator")));
    }
    return trees;
  }

  /** The namespace and the claims. */
  static List<ObjectNode> storage() throws IOException, InterruptedException {
    String yaml = rendered.get("storage");
    if (yaml == null) {
      yaml = Kustomize.render(Kustomize.KUBERNETES.resolve("storage"));
      rendered.put("storage", yaml);
    }
    return Manifests.read(yaml);
  }

  /** The objects of the folder. */
  static List<ObjectNode> alone(String folder, List<String> components)
      throws IOException, InterruptedException {
    String key = folder + components;
    String yaml = rendered.get(key);
    if (yaml == null) {
      yaml = Kustomize.render(folder, OWN.getOrDefault(folder, "none"), components);
      rendered.put(key, yaml);
    }
    return Manifests.read(yaml);
  }
}
