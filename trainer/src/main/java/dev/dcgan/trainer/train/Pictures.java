package dev.dcgan.trainer.train;

import dev.dcgan.model.ImageShape;
import java.util.ArrayList;
import java.util.List;

/** From the networks' images, float NCHW in [-1, 1], to pictures, uint8 HWC. */
final class Pictures {

  private Pictures() {}

  /**
   * The pictures in a batch: each value by round((x + 1) * 127.5), as the exported model does it.
   */
  static List<byte[]> pixels(float[] batch, ImageShape shape) {
    int plane = shape.height() * shape.width();
    List<byte[]> pictures = new ArrayList<>();
    for (int first = 0; first < batch.length; first += shape.values()) {
      byte[] picture = new byte[shape.values()];
      for (int i = 0; i < plane; i++) {
        for (int c = 0; c < shape.channels(); c++) {
          double level = Math.rint((batch[first + c * plane + i] + 1) * 127.5);
          picture[i * shape.channels() + c] = (byte) Math.max(0, Math.min(255, level));
        }
      }
      pictures.add(picture);
    }
    return pictures;
  }
}
