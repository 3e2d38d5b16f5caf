package dev.dcgan.sampler.export;

import java.util.ArrayList;
import java.util.List;

/**
 * Images [first, first + count) of a seed, in shards of {@code size}; the last has the rest.
 *
 * <p>Where a shard begins follows from the whole export, not from who writes it. So a part of an
 * export has whole shards, and however many parts there are, together they write the same files.
 *
 * @param first uint64
 * @param count 1 or more; the last image's index is a uint64 too
 * @param size 1 to {@link #LARGEST}
 */
public record Shards(long first, long count, int size) {

  /** As many as a name of six digits tells apart. */
  private static final int MOST = 1_000_000;

  /** The largest shard, in images. */
  static final int LARGEST = 10_000_000;

  public Shards {
    List<String> wrong = problems(first, count, size);
    if (!wrong.isEmpty()) {
      throw new IllegalArgumentException(String.join("; ", wrong));
    }
  }

  /** All that is wrong with such shards, in the words of the command line. */
  public static List<String> problems(long first, long count, int size) {
    List<String> problems = new ArrayList<>();
    if (count < 1) {
      problems.add("--count %d: expected 1 to %d".formatted(count, Long.MAX_VALUE));
    }
    if (size < 1 || size > LARGEST) {
      problems.add("--shard-images %d: expected 1 to %d".formatted(size, LARGEST));
    }
    // first + count - 1, the last index, must not begin again at 0.
    if (count > 0 && Long.compareUnsigned(count - 1, -1 - first) > 0) {
      problems.add(
          "--first %s --count %d: a sequence ends with image 18446744073709551615; lower one of them"
              .formatted(Long.toUnsignedString(first), count));
    }
    if (size > 0 && (count - 1) / size >= MOST) {
      problems.add(
          "--count %d --shard-images %d: expected at most %d shards; make them larger"
              .formatted(count, size, MOST));
    }
    return problems;
  }

  /** How many there are. */
  int number() {
    return (int) ((count - 1) / size) + 1;
  }

  /** The first shard of a part; it ends where the next part begins. */
  int begin(int part, int parts) {
    return (int) ((long) number() * part / parts);
  }

  /** What a shard holds. */
  Range images(int shard) {
    long before = (long) shard * size;
    return new Range(first + before, (int) Math.min(size, count - before));
  }
}
