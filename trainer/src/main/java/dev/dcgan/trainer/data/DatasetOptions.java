package dev.dcgan.trainer.data;

import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * How to open a dataset.
 *
 * @param heldOutFraction the fraction of images held out for evaluation if the dataset has no test
 *     split, 0 to 0.5; rounded to one image in k
 * @param convertChannels whether grey images are converted to RGB (each value three times) and RGB
 *     images to grey (luma) if the network needs it; otherwise a mismatch is an error
 * @param maxUnreadable how many unreadable images are skipped before opening fails; by default one
 *     in a hundred, at least one
 * @param memoryBytes decoded images are kept in memory up to this size, above it in a scratch file
 * @param scratchFolder the folder of the scratch file
 */
public record DatasetOptions(
    double heldOutFraction,
    boolean convertChannels,
    OptionalInt maxUnreadable,
    long memoryBytes,
    Path scratchFolder) {

  public DatasetOptions {
    if (!(heldOutFraction >= 0 && heldOutFraction <= 0.5)) {
      throw new IllegalArgumentException(
          "held-out fraction " + heldOutFraction + "; expected 0 to 0.5");
    }
    if (maxUnreadable.orElse(0) < 0 || memoryBytes < 0) {
      throw new IllegalArgumentException(
          "at most %s unreadable, %d bytes of memory; expected 0 or more"
              .formatted(maxUnreadable, memoryBytes));
    }
  }

  /**
   * A held-out fraction of 0.1, no conversion, a quarter of the heap, the system's temporary
   * folder.
   */
  public static DatasetOptions defaults() {
    return new DatasetOptions(
        0.1,
        false,
        OptionalInt.empty(),
        Runtime.getRuntime().maxMemory() / 4,
        Path.of(System.getProperty("java.io.tmpdir", "/tmp")));
  }

  DatasetOptions withScratchFolder(Path folder) {
    return new DatasetOptions(heldOutFraction, convertChannels, maxUnreadable, memoryBytes, folder);
  }

  /** One image in so many is held out; 0 for none. */
  int heldOutInterval() {
    return heldOutInterval(heldOutFraction);
  }

  static int heldOutInterval(double heldOutFraction) {
    return heldOutFraction == 0
        ? 0
        : (int) Math.min(Integer.MAX_VALUE, Math.round(1 / heldOutFraction));
  }
}
