package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;

/** A picture whose file holds plain pixels: whole as soon as its bytes are there. */
public record RawImage(String place, int label, Bitmap bitmap) implements ImageSource.Encoded {

  @Override
  public Bitmap decode(ImageShape wanted) {
    return bitmap;
  }
}
