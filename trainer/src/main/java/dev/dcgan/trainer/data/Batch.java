package dev.dcgan.trainer.data;

import java.nio.ByteBuffer;

/**
 * Some pictures in a row of an epoch's order, as a network takes them.
 *
 * @param epoch that they are of
 * @param first where in the epoch's order the first of them stands, from 0
 * @param positions their numbers in the dataset, in order
 * @param last whether the epoch ends with them
 * @param values float32: the images (n, channels, height, width) in [-1, 1], then the noise of
 *     {@link Batches.Noise}. Direct, in the machine's byte order, from the buffer's start to its
 *     limit, so that the engine can read it in place. Good until the next batch is asked for, which
 *     reuses it.
 */
@SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
public record Batch(int epoch, int first, int[] positions, boolean last, ByteBuffer values) {

  /** The number of pictures. */
  public int size() {
    return positions.length;
  }
}
