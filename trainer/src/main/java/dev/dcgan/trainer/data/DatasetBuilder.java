package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.image.Bitmap;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decodes image sources into a {@link DatasetSplit}.
 *
 * @param target the network's image shape
 * @param onProgress called for each image that was decoded or found unreadable
 * @param samples whether to look at a few images only: {@link Datasets#sampleShape}
 */
record DatasetBuilder(
    ImageShape target, DatasetOptions options, Runnable onProgress, boolean samples) {

  private static final Logger log = LoggerFactory.getLogger(DatasetBuilder.class);

  // Spread over the files, so that a few grey photos among colour ones do not decide.
  private static final int MAX_SAMPLES = 8;

  /**
   * Decodes all images of the sources, which stay the caller's to close.
   *
   * @param test the dataset's own test split; null if it has none
   */
  DatasetSplit build(String name, ImageSource training, @Nullable ImageSource test)
      throws IOException {
    if (samples) {
      return blank(name, sampleShape(training));
    }
    int total = Math.addExact(training.size(), test == null ? 0 : test.size());
    Path folder = scratchFolder((long) total * target.values());
    try (ParallelDecoder decoder = new ParallelDecoder(name, target, total, options, onProgress);
        StoredDataset.Writer trained = new StoredDataset.Writer(target, folder);
        StoredDataset.Writer heldOut = new StoredDataset.Writer(target, folder)) {
      if (test == null) {
        int interval = options.heldOutInterval();
        decoder.decode(
            training,
            (position, pixels, label) ->
                (interval > 0 && position % interval == interval - 1 ? heldOut : trained)
                    .add(pixels, label));
      } else {
        decoder.decode(training, (position, pixels, label) -> trained.add(pixels, label));
        decoder.decode(test, (position, pixels, label) -> heldOut.add(pixels, label));
      }
      decoder.finish(trained.size());
      int classes = classes(training, test);
      StoredDataset images = trained.finish(name, classes);
      return heldOut.size() == 0
          ? new DatasetSplit(images, images, false)
          : new DatasetSplit(images, heldOut.finish(name, classes), true);
    }
  }

  /** The largest height and width of a few images, at most the target's, and 3 channels if one of them is RGB. */
  private ImageShape sampleShape(ImageSource images) throws IOException {
    int interval = (images.size() + MAX_SAMPLES - 1) / MAX_SAMPLES;
    int height = 0;
    int width = 0;
    int channels = 0;
    for (int i = 0; i < images.size(); i++) {
      ImageSource.Encoded image = images.next();
      // Unreadable images are passed over: the next one may be readable.
      if (i % interval == 0 || channels == 0) {
        try {
          Bitmap bitmap = image.decode(target);
          height = Math.max(height, Math.min(bitmap.height(), target.height()));
          width = Math.max(width, Math.min(bitmap.width(), target.width()));
          channels = Math.max(channels, bitmap.channels());
        } catch (IOException e) {
          log.debug("cannot decode {}", image.location(), e);
        }
      }
    }
    if (channels == 0) {
      throw new IOException("no image can be decoded");
    }
    return new ImageShape(height, width, channels);
  }

  /** A dataset of one black image of that shape. */
  private static DatasetSplit blank(String name, ImageShape shape) throws IOException {
    try (StoredDataset.Writer writer = new StoredDataset.Writer(shape, null)) {
      writer.add(new byte[shape.values()], -1);
      StoredDataset images = writer.finish(name, 0);
      return new DatasetSplit(images, images, false);
    }
  }

  /** The larger number of classes of the two splits; 0 if one of them has no labels. */
  private static int classes(ImageSource training, @Nullable ImageSource test) {
    if (test == null) {
      return training.classes();
    }
    int fewer = Math.min(training.classes(), test.classes());
    return fewer == 0 ? 0 : Math.max(training.classes(), test.classes());
  }

  /** The folder for so many bytes of decoded images; null if they fit in memory. */
  private @Nullable Path scratchFolder(long bytes) throws IOException {
    if (bytes <= options.memoryBytes()) {
      return null;
    }
    Path folder = options.scratchFolder();
    if (!Files.isDirectory(folder)) {
      throw new IOException(
          "cannot store decoded images: %s is not a folder; expected one with space for %d bytes: set it by JDK_JAVA_OPTIONS=-Djava.io.tmpdir=<folder>"
              .formatted(folder, bytes));
    }
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < bytes) {
      throw new IOException(
          "cannot store decoded images: %s has space for %d bytes; expected %d: set another folder by JDK_JAVA_OPTIONS=-Djava.io.tmpdir=<folder>"
              .formatted(folder, free, bytes));
    }
    log.info(
        "decoded images are stored in a scratch file: size_mib={} folder={}", bytes >> 20, folder);
    return folder;
  }
}
