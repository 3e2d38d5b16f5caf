package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;

/** A picture whose file holds plain pixels: whole as soon as its bytes are there. */
record RawPicture(String place, int label, Bitmap bitmap) implements PictureSource.Encoded {

  @Override
  public Bitmap decode(ImageShape wanted) {
    return bitmap;
  }
}
