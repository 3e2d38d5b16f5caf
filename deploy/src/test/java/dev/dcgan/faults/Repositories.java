package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What must hold of model repositories and other folders after any fault. */
final class Repositories {

  private Repositories() {}

  /** Requires that every version is whole; returns the versions of a model, oldest first. */
  static List<Long> requireWhole(Path repository, String model) throws IOException {
    ModelRepository read = new ModelRepository(repository);
    List<Long> versions = read.versions(model).stream().sorted().toList();
    for (long version : versions) {
      ModelBundle unused = read.open(model, version); // Verifies the digest.
    }
    return versions;
  }

  /** The bytes of a version's model. */
  static byte[] model(Path repository, String model, long version) throws IOException {
    return new ModelRepository(repository).open(model, version).readModel();
  }

  /** Requires that a version has these bytes. */
  static void requireModel(Path repository, String model, long version, byte[] expected)
      throws IOException {
    assertThat(model(repository, model, version)).as(model + "/" + version).isEqualTo(expected);
  }

  /** The temporary files that killed processes have left. */
  static List<Path> leftovers(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(file -> AtomicFiles.unfinished(file).isPresent()).toList();
    }
  }
}
