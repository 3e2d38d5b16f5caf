package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import java.io.Closeable;
import java.io.IOException;

/** Pictures as they lie on disk: read once, in their order, by one thread. */
public interface ImageSource extends Closeable {

  /** One picture before it is decoded, which any thread may do. */
  interface Encoded {

    /** What a message calls the picture: its file, or its place in one. */
    String place();

    /** Its class, from 0; -1 without labels. */
    int label();

    /**
     * Decodes at least what {@code wanted} takes of the picture.
     *
     * @throws IOException it cannot be read; the message says why, not which
     */
    Bitmap decode(ImageShape wanted) throws IOException;
  }

  /** How many pictures there are, unreadable ones among them; at least 1. */
  int size();

  /** How many classes the labels tell apart; 0 without labels. */
  int classes();

  /**
   * The next picture; asked for {@link #size} times.
   *
   * @throws IOException nothing further can be read; the message names the file
   */
  Encoded next() throws IOException;
}
