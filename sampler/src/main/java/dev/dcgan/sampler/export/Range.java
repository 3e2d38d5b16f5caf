package dev.dcgan.sampler.export;

/**
 * Images [first, first + count) of a seed.
 *
 * @param first uint64
 */
record Range(long first, int count) {

  /** The {@code i}th piece of {@code size} images; the last piece may be smaller. */
  Range piece(int i, int size) {
    int before = i * size;
    return new Range(first + before, Math.min(size, count - before));
  }

  /** The number of such pieces. */
  int pieces(int size) {
    return (count + size - 1) / size;
  }
}
