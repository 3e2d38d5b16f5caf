package dev.dcgan.trainer.eval;

import java.io.IOException;

/** A generator's images of fixed latents by index: the same image each time. */
@FunctionalInterface
interface PixelSource {

  /**
   * Generates the images {@code [firstIndex, firstIndex + n)}.
   *
   * @return uint8 (n, height, width, channels)
   */
  byte[] pixels(long firstIndex, int n) throws IOException;
}
