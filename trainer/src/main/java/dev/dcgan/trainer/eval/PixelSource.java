package dev.dcgan.trainer.eval;

import java.io.IOException;

/** A generator's images of fixed latents, by number: the same ones at every asking. */
@FunctionalInterface
public interface PixelSource {

  /**
   * The images {@code [firstIndex, firstIndex + n)}.
   *
   * @return uint8 (n, height, width, channels)
   */
  byte[] pixels(long firstIndex, int n) throws IOException;
}
