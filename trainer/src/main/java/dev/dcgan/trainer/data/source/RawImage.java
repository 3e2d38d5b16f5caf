package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;

/** An image of a format with uncompressed pixels, which needs no decoding. */
record RawImage(String location, int label, Bitmap bitmap) implements ImageSource.Encoded {

  @Override
  public Bitmap decode(ImageShape target) {
    return bitmap;
  }
}
