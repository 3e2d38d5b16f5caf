package dev.dcgan.trainer.service;

import dev.dcgan.trainer.config.ConfigViolation;

import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The folder that callers may name files in.
 *
 * @param folder null: none, callers have the drawn digits alone
 */
record DataRoot(@Nullable Path folder) {

  /**
   * The config with its paths found; what is wrong with one is added, and the path left as it is.
   */
  RunConfig resolve(RunConfig asked, List<ConfigViolation> wrong) {
    RunConfig.Builder config = asked.toBuilder();
    if (!asked.getData().isEmpty()) {
      config.setData(resolve("data", asked.getData(), wrong));
    }
    if (!asked.getFeatures().isEmpty()) {
      config.setFeatures(resolve("features", asked.getFeatures(), wrong));
    }
    return config.build();
  }

  private String resolve(String field, String asked, List<ConfigViolation> wrong) {
    String problem;
    try {
      Path path = Path.of(asked);
      if (folder == null) {
        problem = "this service was started without --data-root and reads no files of callers";
      } else if (path.isAbsolute()) {
        problem = "expected a path relative to the service's --data-root";
      } else if (hasParent(path)) {
        problem = "expected a path without '..'";
      } else {
        // The real one: no link leads out of the folder unseen.
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
    wrong.add(new ConfigViolation(field, "'%s': %s".formatted(asked, problem)));
    return asked;
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
