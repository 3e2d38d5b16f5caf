package dev.dcgan.sampler.scheduling;

/**
 * Images as the network made them.
 *
 * @param bytes {@code count} images of equal size in a row, in the form of {@code output}; must not
 *     be changed
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
public record Images(Output output, int count, byte[] bytes, Times times) {

  /**
   * When they were queued, when the first of them left the queue, and when the last was made, on
   * the clock of {@link System#nanoTime}.
   */
  public record Times(long queued, long started, long made) {}
}
