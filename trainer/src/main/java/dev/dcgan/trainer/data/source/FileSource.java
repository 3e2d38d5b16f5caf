package dev.dcgan.trainer.data.source;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import dev.dcgan.trainer.data.image.ImageDecoder;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;

/** Images in one file each, in a folder or a zip. Closing the source leaves the tree open. */
public final class FileSource implements ImageSource {

  private final FileTree tree;
  private final ImageFiles files;
  private final int size;

  // Mutable state
  private final Iterator<String> names;

  /** A source of the named files, at least one. */
  public FileSource(FileTree tree, ImageFiles files, List<String> names) {
    this.tree = tree;
    this.files = files;
    this.size = names.size();
    this.names = names.iterator();
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
    return files.classes().size();
  }

  @Override
  public Encoded next() {
    String name = names.next();
    return new EncodedFile(tree, name, files.label(name));
  }

  @Override
  public void close() {}
}
