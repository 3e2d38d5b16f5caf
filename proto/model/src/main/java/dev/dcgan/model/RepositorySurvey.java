package dev.dcgan.model;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * The models of a repository, and the files and folders that look like models but cannot be served.
 *
 * @param models sorted by name
 * @param skipped sorted by path
 */
public record RepositorySurvey(List<Model> models, List<Skipped> skipped) {

  public RepositorySurvey {
    models = List.copyOf(models);
    skipped = List.copyOf(skipped);
  }

  /**
   * A model with at least one version.
   *
   * @param versions that have a model file, newest first; they are not validated
   * @param pinned the pinned version, if any
   */
  public record Model(String name, List<Long> versions, OptionalLong pinned) {
    public Model {
      versions = List.copyOf(versions);
    }
  }

  /**
   * A file or folder that is skipped.
   *
   * @param reason what was found and what to do, in one line without the path
   * @param version whether it is the folder of a version, which also fails to load
   */
  public record Skipped(Path path, String reason, boolean version) {

    /** The path and the reason, in one line whatever the path is. */
    @Override
    public String toString() {
      return (path + ": " + reason).replaceAll("\\p{Cntrl}", "?");
    }
  }
}
