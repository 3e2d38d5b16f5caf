package dev.dcgan.faults;

import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Kills programs with SIGKILL: half of the times at any moment, else just after a random one of
 * their writes to a folder, because those moments are few.
 */
final class Killer {

  private static final int MAX_WRITES = 12;
  private static final int MAX_DELAY_MILLIS = 8;
  private static final double GROWTH = 1.1;
  private static final double MAX_FACTOR = 4;

  private final Random random;
  private final Duration lifetime;
  private final Path folder;

  // Mutable state
  private double factor = 1;

  /**
   * A killer.
   *
   * @param lifetime how long the programs take undisturbed; with each kill in a row the next one
   *     gets a little more time, up to four times as much, because a busy machine may be slower
   *     than before, and every program must be done at last
   * @param folder that they write to; it need not exist
   */
  Killer(Random random, Duration lifetime, Path folder) {
    this.random = random;
    this.lifetime = lifetime;
    this.folder = folder;
  }

  /** Waits for a random moment and kills the program; false: it has ended before. */
  boolean kill(Program program) throws InterruptedException {
    Duration longest = Duration.ofMillis((long) (lifetime.toMillis() * factor));
    Duration latest = Duration.ofMillis((long) (longest.toMillis() * random.nextDouble()));
    if (random.nextBoolean()) {
      awaitWrites(program, 1 + random.nextInt(MAX_WRITES), longest);
      latest = Duration.ofMillis(random.nextInt(MAX_DELAY_MILLIS));
    }
    if (program.hasEndedWithin(latest)) {
      factor = 1;
      return false;
    }
    program.close();
    factor = Math.min(MAX_FACTOR, factor * GROWTH);
    return true;
  }

  private void awaitWrites(Program program, int writes, Duration longest)
      throws InterruptedException {
    long end = System.nanoTime() + longest.toNanos();
    Map<Path, Long> seen = sizes();
    for (int found = 0; found < writes && System.nanoTime() - end < 0; ) {
      if (program.hasEndedWithin(Duration.ofMillis(1))) {
        return;
      }
      Map<Path, Long> now = sizes();
      if (!now.equals(seen)) {
        found++;
        seen = now;
      }
    }
  }

  /** The size of each file below the folder. */
  private Map<Path, Long> sizes() {
    Map<Path, Long> sizes = new HashMap<>();
    if (!Files.isDirectory(folder)) {
      return sizes;
    }
    try {
      Files.walkFileTree(
          folder,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              sizes.put(file, attributes.size());
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) {
              return FileVisitResult.CONTINUE; // It was there a moment ago.
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException e) {
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return sizes;
  }
}
