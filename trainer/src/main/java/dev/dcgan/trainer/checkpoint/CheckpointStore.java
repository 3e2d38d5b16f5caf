package dev.dcgan.trainer.checkpoint;

import dev.dcgan.trainer.torch.DamagedFileException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run's folder of checkpoints, {@code step-NNNNNNNN.safetensors}: the newest few and the best.
 *
 * <p>For one thread at a time, of the process that has locked the run.
 */
public final class CheckpointStore {

  private static final Logger log = LoggerFactory.getLogger(CheckpointStore.class);
  private static final Pattern NAME = Pattern.compile("step-[0-9]{8,}\\.safetensors");

  private final Path folder;
  private final int keep;

  // Mutable state
  private @Nullable Path best;

  /** A checkpoint and the file it is from. */
  public record Kept(Path file, Checkpoint checkpoint) {}

  /**
   * Opens a folder.
   *
   * @param keep how many of the newest to keep, 1 or more
   * @param best the name of the file that is kept besides; empty: none yet
   */
  public CheckpointStore(Path folder, int keep, String best) {
    this.folder = folder;
    this.keep = keep;
    this.best = best.isEmpty() ? null : folder.resolve(best);
  }

  /**
   * Writes a checkpoint, whole or not at all, then removes those that are no longer kept. It
   * replaces an earlier checkpoint of the same step.
   *
   * @throws IOException the write failed; existing checkpoints are unchanged
   */
  public Path save(Checkpoint checkpoint) throws IOException {
    Path file = folder.resolve("step-%08d.safetensors".formatted(checkpoint.step()));
    CheckpointFile.write(file, checkpoint);
    prune();
    return file;
  }

  /** Keeps {@code file} until another one is the best. */
  public void keepAsBest(Path file) throws IOException {
    best = file;
    prune();
  }

  /** The kept files, oldest first. */
  public List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      // Longer numbers are later ones.
      return files
          .filter(file -> NAME.matcher(file.getFileName().toString()).matches())
          .filter(Files::isRegularFile)
          .sorted(
              Comparator.<Path>comparingInt(file -> file.getFileName().toString().length())
                  .thenComparing(file -> file.getFileName().toString()))
          .toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /**
   * The newest undamaged checkpoint. Damaged ones are logged and renamed to {@code .damaged}, so
   * that they do not count among the newest.
   *
   * @throws IOException a checkpoint cannot be read, or is of a newer format
   */
  public Optional<Kept> newest() throws IOException {
    List<Path> files = files();
    for (int i = files.size() - 1; i >= 0; i--) {
      Path file = files.get(i);
      try {
        return Optional.of(new Kept(file, CheckpointFile.read(file)));
      } catch (DamagedFileException e) {
        log.warn(
            "{}; {}",
            e.getMessage(),
            i > 0 ? "using the checkpoint before it" : "there is no checkpoint before it");
        Files.move(
            file,
            file.resolveSibling(file.getFileName() + ".damaged"),
            StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return Optional.empty();
  }

  /** Whether no checkpoint was ever written here, not even one that is damaged now. */
  public boolean isUntouched() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      // What begins with a dot is the temporary file of one that was not completed.
      return files.allMatch(file -> file.getFileName().toString().startsWith("."));
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Removes the temporary files of a process that was killed while it wrote. */
  public void sweep() throws IOException {
    List<Path> leftovers;
    try (Stream<Path> files = Files.list(folder)) {
      leftovers = files.filter(file -> file.getFileName().toString().startsWith(".step-")).toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    for (Path leftover : leftovers) {
      Files.deleteIfExists(leftover);
    }
  }

  private void prune() throws IOException {
    List<Path> old = new ArrayList<>(files());
    old.subList(Math.max(0, old.size() - keep), old.size()).clear();
    for (Path file : old) {
      if (!file.equals(best)) {
        Files.deleteIfExists(file);
      }
    }
  }
}
