package dev.dcgan.trainer.data;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Real images for tests: in {@code shared/data} beside the repository, or where the environment
 * variable DCGAN_TEST_DATA says.
 */
public final class TestData {

  private TestData() {}

  /** The folder with the complete MNIST; without it, skips the calling test and says so. */
  public static Path mnist() {
    return existing("mnist", "MNIST");
  }

  /**
   * The zip of CIFAR-10's 10,000 test images, a folder for each class; without it, skips the
   * calling test and says so.
   */
  public static Path cifar10Zip() {
    return existing("cifar10/test-images.zip", "CIFAR-10");
  }

  private static Path existing(String name, String what) {
    // Tests run in the module's folder.
    Path root =
        Path.of(Optional.ofNullable(System.getenv("DCGAN_TEST_DATA")).orElse("../../shared/data"));
    Path path = root.resolve(name);
    assumeTrue(
        Files.exists(path),
        path.toAbsolutePath().normalize() + " is absent: not tested on the real " + what);
    return path;
  }
}
