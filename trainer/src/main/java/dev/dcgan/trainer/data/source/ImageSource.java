package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import java.io.Closeable;
import java.io.IOException;

/** Encoded images on disk; one thread reads them once, in order. */
public interface ImageSource extends Closeable {

  /** An encoded image; any thread may decode it. */
  interface Encoded {

    /** The image's file, or its position in a file, for messages. */
    String location();

    /** The label, from 0; -1 without a label. */
    int label();

    /**
     * Decodes at least the part of the image that {@code target} needs.
     *
     * @throws IOException if it cannot be read; the message has the reason but not the location
     */
    Bitmap decode(ImageShape target) throws IOException;
  }

  /** The number of images, including unreadable ones; at least 1. */
  int size();

  /** The number of classes; 0 without labels. */
  int classes();

  /** The name of a class in messages. */
  default String className(int label) {
    return Integer.toString(label);
  }

  /**
   * Reads the next image; may be called {@link #size} times.
   *
   * @throws IOException if no further image can be read; the message names the file
   */
  Encoded next() throws IOException;
}
