package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The training images of MNIST, Fashion-MNIST or EMNIST from IDX files, plain or gzip, in memory
 * and in the size that they are stored in; with labels where they lie beside the images.
 */
public final class IdxDataset implements ImageDataset {

  private final String name;
  private final ImageShape shape;
  private final int classes;
  private final List<byte[]> images;
  private final int[] labels;

  private IdxDataset(
      String name, ImageShape shape, int classes, List<byte[]> images, int[] labels) {
    this.name = name;
    this.shape = shape;
    this.classes = classes;
    this.images = images;
    this.labels = labels;
  }

  /**
   * Reads the training images in a folder, found by their standard names, or the images in the file
   * named.
   *
   * @throws IOException none or several sets of images in the folder; a file that is truncated, too
   *     long, damaged or not what its name says; the message names it
   */
  public static IdxDataset open(Path folderOrFile) throws IOException {
    IdxFiles files = IdxFiles.open(folderOrFile);
    try (IdxSource source = IdxSource.open(files)) {
      // Memory is taken as data arrives, never because a header says so.
      List<byte[]> images = new ArrayList<>();
      List<Integer> labels = new ArrayList<>();
      for (int i = 0; i < source.size(); i++) {
        RawImage image = source.next();
        images.add(image.bitmap().pixels());
        labels.add(image.label());
      }
      return new IdxDataset(
          files.name(),
          source.shape(),
          source.classes(),
          images,
          labels.stream().mapToInt(Integer::intValue).toArray());
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public ImageShape shape() {
    return shape;
  }

  @Override
  public int size() {
    return images.size();
  }

  @Override
  public int classes() {
    return classes;
  }

  @Override
  public int label(int index) {
    return labels[index];
  }

  @Override
  public void copyPixels(int index, byte[] target, int offset) {
    System.arraycopy(images.get(index), 0, target, offset, shape.values());
  }
}
