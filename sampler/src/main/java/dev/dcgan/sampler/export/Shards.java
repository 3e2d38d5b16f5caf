package dev.dcgan.sampler.export;

import java.util.ArrayList;
import java.util.List;

/**
 * Images [first, first + count) of a seed, in shards of {@code size}; the last shard may be
 * smaller.
 *
 * <p>Where a shard begins follows from the whole export, not from its parts. So a part has whole
 * shards, and any number of parts writes the same files.
 *
 * @param first uint64
 * @param count 1 or more; the last image's index is a uint64 too
 * @param size images per shard, 1 to {@link #MAX_SHARD_IMAGES}
 */
public record Shards(long first, long count, int size) {

  /** The number of names with six digits. */
  private static final int MAX_SHARDS = 1_000_000;

  static final int MAX_SHARD_IMAGES = 10_000_000;

  public Shards {
    List<String> wrong = problems(first, count, size);
    if (!wrong.isEmpty()) {
      throw new IllegalArgumentException(String.join("; ", wrong));
    }
  }

  /** All problems of such shards, by the names of the command-line options. */
  public static List<String> problems(long first, long count, int size) {
    List<String> problems = new ArrayList<>();
    if (count < 1) {
      problems.add("--count %d: expected 1 to %d".formatted(count, Long.MAX_VALUE));
    }
    if (size < 1 || size > MAX_SHARD_IMAGES) {
      problems.add("--shard-images %d: expected 1 to %d".formatted(size, MAX_SHARD_IMAGES));
    }
    // first + count - 1, the last index, must not overflow.
    if (count > 0 && Long.compareUnsigned(count - 1, -1 - first) > 0) {
      problems.add(
          "--first %s --count %d: expected a last image of at most 18446744073709551615; lower one of them"
              .formatted(Long.toUnsignedString(first), count));
    }
    if (size > 0 && (count - 1) / size >= MAX_SHARDS) {
      problems.add(
          "--count %d --shard-images %d: expected at most %d shards; make them larger"
              .formatted(count, size, MAX_SHARDS));
    }
    return problems;
  }

  /** The number of shards. */
  int number() {
    return (int) ((count - 1) / size) + 1;
  }

  /** The first shard of a part; it ends where the next part begins. */
  int begin(int part, int parts) {
    return (int) ((long) number() * part / parts);
  }

  /** The images of a shard. */
  Range images(int shard) {
    long before = (long) shard * size;
    return new Range(first + before, (int) Math.min(size, count - before));
  }
}
