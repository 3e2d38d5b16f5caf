package dev.dcgan.trainer.data;

import java.nio.ByteBuffer;

/**
 * One mini-batch.
 *
 * @param epoch the epoch it belongs to, from 1
 * @param first the position of its first image in the epoch's order, from 0
 * @param positions the indices of its images in the dataset, in order
 * @param last whether it is the epoch's last batch
 * @param values float32: the images (n, channels, height, width) in [-1, 1], then the latents of
 *     {@link DataLoader.Noise}, then the labels (n) if the loader has them. A direct buffer in
 *     native byte order, from its start to its limit, so that the engine can read it in place.
 *     Valid until the next call of {@link DataLoader#next}, which reuses it.
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
public record Batch(int epoch, int first, int[] positions, boolean last, ByteBuffer values) {

  /** The number of images. */
  public int size() {
    return positions.length;
  }
}
