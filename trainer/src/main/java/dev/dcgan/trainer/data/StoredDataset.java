package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Sha256;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A dataset of decoded images, in memory or in a scratch file. */
final class StoredDataset implements ImageDataset, Closeable {

  private final String name;
  private final ImageShape shape;
  private final List<String> classNames;
  private final int[] labels;
  private final List<byte[]> inMemory; // empty if they are in the file
  private final @Nullable ScratchFile file;
  private final String sha256;

  private StoredDataset(Writer writer, String name, List<String> classNames) {
    this.name = name;
    this.classNames = List.copyOf(classNames);
    shape = writer.shape;
    labels = Arrays.copyOf(writer.labels, writer.size);
    inMemory = writer.inMemory;
    file = writer.file;
    sha256 = writer.digest.hex();
  }

  /** Collects images one by one. Not thread-safe. */
  static final class Writer implements Closeable {

    private final ImageShape shape;
    private final List<byte[]> inMemory = new ArrayList<>();
    private final @Nullable ScratchFile file;
    private final Sha256 digest = new Sha256();

    // Mutable state, as are the collections
    private int[] labels = new int[1024];
    private int size;
    private boolean finished;

    /** Collects in memory if {@code folder} is null, otherwise in a scratch file there. */
    Writer(ImageShape shape, @Nullable Path folder) throws IOException {
      this.shape = shape;
      file = folder == null ? null : ScratchFile.create(folder, shape.values());
    }

    /** Appends an image, uint8 (height, width, channels); the array must not change afterwards. */
    void add(byte[] pixels, int label) throws IOException {
      if (file == null) {
        inMemory.add(pixels);
      } else {
        file.add(pixels);
      }
      digest.add(pixels);
      if (size == labels.length) {
        labels = Arrays.copyOf(labels, 2 * size);
      }
      labels[size++] = label;
    }

    int size() {
      return size;
    }

    /**
     * Returns the dataset of the added images, at least one; it owns the scratch file.
     *
     * @param classNames the classes, in the order of the labels; empty to drop the labels
     */
    StoredDataset finish(String name, List<String> classNames) throws IOException {
      if (file != null) {
        file.seal();
      }
      finished = true;
      return new StoredDataset(this, name, classNames);
    }

    /** Discards the images unless {@link #finish} was called. */
    @Override
    public void close() throws IOException {
      if (file != null && !finished) {
        file.close();
      }
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
    return labels.length;
  }

  @Override
  public int classes() {
    return classNames.size();
  }

  @Override
  public String className(int label) {
    return classNames.get(label);
  }

  @Override
  public int label(int index) {
    return classNames.isEmpty() ? -1 : labels[index];
  }

  @Override
  public void copyPixels(int index, byte[] target, int offset) {
    if (file == null) {
      System.arraycopy(inMemory.get(index), 0, target, offset, shape.values());
    } else {
      file.copy(index, target, offset);
    }
  }

  /** Computed while the images were decoded. */
  @Override
  public String sha256() {
    return sha256;
  }

  @Override
  public void close() throws IOException {
    if (file != null) {
      file.close();
    }
  }
}
