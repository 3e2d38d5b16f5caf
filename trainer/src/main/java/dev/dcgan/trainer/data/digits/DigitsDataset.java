package dev.dcgan.trainer.data.digits;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Synthetic handwritten digits, for training without a dataset on disk.
 *
 * <p>The images are 28 x 28, white on black, like MNIST. Image i depends on (seed, i) alone and
 * shows the digit i mod 10, so the classes are balanced.
 */
public final class DigitsDataset implements ImageDataset {

  private static final ImageShape SHAPE = new ImageShape(DigitPen.SIDE, DigitPen.SIDE, 1);

  private static final int MAX_HELD_OUT = 10_000;

  private final int first;
  private final byte[][] images;

  /**
   * Draws {@code count} digits, on all processors.
   *
   * @throws UncheckedIOException of an {@link InterruptedIOException} if the thread is interrupted
   * @throws IllegalArgumentException if count is below 1
   */
  public DigitsDataset(int count, long seed) {
    this(0, count, seed);
  }

  /** Draws the digits {@code first} to below {@code first + count} of a seed's endless sequence. */
  DigitsDataset(int first, int count, long seed) {
    if (count < 1) {
      throw new IllegalArgumentException(count + " digits; expected at least 1");
    }
    this.first = first;
    Thread caller = Thread.currentThread();
    images =
        IntStream.range(first, Math.addExact(first, count))
            .parallel()
            .mapToObj(i -> draw(i, seed, caller))
            .toArray(byte[][]::new);
  }

  /**
   * Draws digits to train on, and as many others of the same seed, up to 10,000, to hold out.
   *
   * @param count the number of training images, at least 1
   * @throws IOException if the thread is interrupted
   */
  public static DatasetSplit split(int count, long seed) throws IOException {
    try {
      return new DatasetSplit(
          new DigitsDataset(count, seed),
          new DigitsDataset(count, Math.min(count, MAX_HELD_OUT), seed),
          true);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  @Override
  public String name() {
    return "digits";
  }

  @Override
  public ImageShape shape() {
    return SHAPE;
  }

  @Override
  public int size() {
    return images.length;
  }

  @Override
  public void copyPixels(int index, byte[] target, int offset) {
    System.arraycopy(images[index], 0, target, offset, SHAPE.values());
  }

  @Override
  public int classes() {
    return 10;
  }

  /** The digit that image {@code index} shows, 0 to 9. */
  @Override
  public int label(int index) {
    return labelOf(first + Objects.checkIndex(index, images.length));
  }

  private static byte[] draw(int index, long seed, Thread caller) {
    if (caller.isInterrupted()) {
      throw new UncheckedIOException(
          new InterruptedIOException("interrupted while drawing digits"));
    }
    return DigitPen.draw(labelOf(index), new PhiloxRandom(seed, index));
  }

  private static int labelOf(int index) {
    return index % 10;
  }
}
