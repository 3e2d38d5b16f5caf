package dev.dcgan.trainer.service;

import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The folder whose files callers may name.
 *
 * @param folder null: none, callers can only use the drawn digits
 */
record DataRoot(@Nullable Path folder) {

  /** The config with absolute paths; an invalid path stays as it is, with a violation added. */
  RunConfig resolve(RunConfig requested, List<ConfigViolation> wrong) {
    RunConfig.Builder config = requested.toBuilder();
    if (!requested.getData().isBlank()) {
      config.setData(resolve("data", requested.getData(), wrong));
    }
    if (!requested.getFeatures().isEmpty()) {
      config.setFeatures(resolve("features", requested.getFeatures(), wrong));
    }
    return config.build();
  }

  private String resolve(String field, String requested, List<ConfigViolation> wrong) {
    String problem;
    try {
      Path path = Path.of(requested);
      if (folder == null) {
        problem = "this service was started without --data-root and reads no files of callers";
      } else if (path.isAbsolute()) {
        problem = "expected a path relative to the service's --data-root";
      } else if (hasParent(path)) {
        problem = "expected a path without '..'";
      } else {
        // The real path: a link must not lead out of the folder.
        Path real = folder.resolve(path).toRealPath();
        if (real.startsWith(folder.toRealPath())) {
          return real.toString();
        }
        problem = "it leads out of the service's --data-root";
      }
    } catch (InvalidPathException e) {
      problem = "not a path";
    } catch (IOException e) {
      problem = "no such file or folder in the service's --data-root";
    }
    wrong.add(new ConfigViolation(field, "'%s': %s".formatted(requested, problem)));
    return requested;
  }

  private static boolean hasParent(Path path) {
    for (Path part : path) {
      if (part.toString().equals("..")) {
        return true;
      }
    }
    return false;
  }
}
