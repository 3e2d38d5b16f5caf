package dev.dcgan.sampler.export;

/**
 * Images [first, first + count) of a seed.
 *
 * @param first uint64
 */
record Range(long first, int count) {

  /** The {@code i}th piece of {@code size} images; the last has the rest. */
  Range piece(int i, int size) {
    int before = i * size;
    return new Range(first + before, Math.min(size, count - before));
  }

  /** How many such pieces there are. */
  int pieces(int size) {
    return (count + size - 1) / size;
  }
}
