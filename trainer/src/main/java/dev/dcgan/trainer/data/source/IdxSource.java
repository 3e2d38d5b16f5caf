package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Streams the images of one split of IDX files, upright.
 *
 * <p>A label file is optional; if there is one, it must be complete. Not thread-safe.
 */
public final class IdxSource implements ImageSource {

  private final IdxFiles files;
  private final IdxReader images;
  private final ImageShape stored;
  private final int[] labels; // empty if there is no label file
  private final int classes;

  // Mutable state
  private int next;

  private IdxSource(IdxFiles files, IdxReader images) throws IOException {
    this.files = files;
    this.images = images;
    try {
      stored = new ImageShape(images.dimension(1), images.dimension(2), 1);
    } catch (IllegalArgumentException e) {
      throw new IOException(files.images() + ": " + e.getMessage(), e);
    }
    labels = files.labels() == null ? new int[0] : labels(files.labels(), files.images(), size());
    int highest = -1;
    for (int label : labels) {
      highest = Math.max(highest, label);
    }
    classes = highest + 1;
  }

  /**
   * Opens the files and reads the labels.
   *
   * @throws IOException if a file is truncated, too long, damaged or of another type; the message
   *     names it
   */
  public static IdxSource open(IdxFiles files) throws IOException {
    IdxReader images = IdxReader.openImages(files.images());
    try {
      return new IdxSource(files, images);
    } catch (IOException e) {
      images.close();
      throw e;
    }
  }

  private static int[] labels(Path file, Path images, int count) throws IOException {
    try (IdxReader reader = IdxReader.openLabels(file)) {
      if (reader.dimension(0) != count) {
        throw new IOException(
            "cannot read %s: it has %d labels; expected %d, one for each image in %s"
                .formatted(file, reader.dimension(0), count, images));
      }
      return reader.labels();
    }
  }

  /** The shape of the upright images. */
  ImageShape shape() {
    return files.isTransposed()
        ? new ImageShape(/* height= */ stored.width(), /* width= */ stored.height(), 1)
        : stored;
  }

  @Override
  public int size() {
    return images.dimension(0);
  }

  @Override
  public int classes() {
    return classes;
  }

  @Override
  public RawImage next() throws IOException {
    byte[] image = images.next(stored.values());
    if (next == size() - 1) {
      images.expectEnd();
    }
    int label = labels.length == 0 ? -1 : labels[next];
    String location = files.images() + ", image " + next++;
    byte[] upright =
        files.isTransposed() ? transpose(image, stored.height(), stored.width()) : image;
    return new RawImage(location, label, new Bitmap(shape().width(), shape().height(), 1, upright));
  }

  private static byte[] transpose(byte[] image, int rows, int columns) {
    byte[] upright = new byte[image.length];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        upright[column * rows + row] = image[row * columns + column];
      }
    }
    return upright;
  }

  @Override
  public void close() throws IOException {
    images.close();
  }
}
