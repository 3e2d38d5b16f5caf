package dev.dcgan.trainer.data.source;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The folders that the trainer itself wrote, by their files: a run has {@code run.json} beside its
 * events, checkpoints or samples; a published version has {@code model.onnx} and {@code
 * manifest.json}.
 */
final class TrainerOutput {

  private final List<String> names; // sorted
  private final Set<String> folders = new HashSet<>(); // with a final slash

  /** Looks for such folders among all files of a dataset, which are sorted. */
  TrainerOutput(List<String> names) {
    this.names = names;
    for (String name : names) {
      String folder = name.substring(0, name.lastIndexOf('/') + 1);
      // The dataset's own folder was chosen by the user.
      if (!folder.isEmpty() && (isRun(name, folder) || isVersion(name, folder))) {
        folders.add(folder);
      }
    }
  }

  private boolean isRun(String name, String folder) {
    return name.equals(folder + "run.json")
        && (hasPrefix(folder + "metrics.jsonl")
            || hasPrefix(folder + "checkpoints/")
            || hasPrefix(folder + "samples/"));
  }

  private boolean isVersion(String name, String folder) {
    return name.equals(folder + "model.onnx") && hasPrefix(folder + "manifest.json");
  }

  private boolean hasPrefix(String prefix) {
    int found = Collections.binarySearch(names, prefix);
    int at = found < 0 ? -found - 1 : found;
    return at < names.size() && names.get(at).startsWith(prefix);
  }

  /** The folder of the trainer's that a file is in, with a final slash. */
  Optional<String> folderOf(String name) {
    for (int slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
      if (folders.contains(name.substring(0, slash + 1))) {
        return Optional.of(name.substring(0, slash + 1));
      }
    }
    return Optional.empty();
  }
}
