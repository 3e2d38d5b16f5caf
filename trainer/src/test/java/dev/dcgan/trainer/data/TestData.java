package dev.dcgan.trainer.data;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Real pictures for tests: in {@code shared/data} beside the repository, or where the environment
 * variable DCGAN_TEST_DATA says.
 */
public final class TestData {

  private TestData() {}

  /** The folder with the complete MNIST; without it, skips the calling test and says so. */
  public static Path mnist() {
    // Tests run in the module's folder.
    Path root =
        Path.of(Optional.ofNullable(System.getenv("DCGAN_TEST_DATA")).orElse("../../shared/data"));
    Path folder = root.resolve("mnist");
    assumeTrue(
        Files.isDirectory(folder),
        folder.toAbsolutePath().normalize() + " is absent: not tested on the real MNIST");
    return folder;
  }
}
