package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import dev.dcgan.trainer.data.image.ImageDecoder;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;

/** Images in one file each, in a folder or an archive. Closing the source leaves the tree open. */
public final class FileSource implements ImageSource {

  private final FileTree tree;
  private final List<String> classes;
  private final int size;

  // Mutable state
  private final Iterator<ImageFile> files;

  private FileSource(FileTree tree, List<String> classes, List<ImageFile> files) {
    this.tree = tree;
    this.classes = classes;
    this.size = files.size();
    this.files = files.iterator();
  }

  /** A source of the training images, at least one. */
  public static FileSource ofTraining(FileTree tree, ImageFiles files) {
    return new FileSource(tree, files.classes(), files.training());
  }

  /** A source of the test images, at least one. */
  public static FileSource ofTest(FileTree tree, ImageFiles files) {
    return new FileSource(tree, files.classes(), files.test());
  }

  private record EncodedFile(FileTree tree, String name, int label) implements Encoded {

    @Override
    public String location() {
      return tree.location(name);
    }

    @Override
    public Bitmap decode(ImageShape target) throws IOException {
      return ImageDecoder.decode(tree.read(name), target);
    }
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public int classes() {
    return classes.size();
  }

  @Override
  public String className(int label) {
    return classes.get(label);
  }

  @Override
  public Encoded next() {
    ImageFile file = files.next();
    return new EncodedFile(tree, file.name(), file.label());
  }

  @Override
  public void close() {}
}
