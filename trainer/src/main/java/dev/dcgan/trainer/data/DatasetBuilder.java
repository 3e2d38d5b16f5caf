package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decodes image sources into a {@link DatasetSplit}.
 *
 * @param target the network's image shape
 * @param onProgress called for each image that was decoded or found unreadable
 */
record DatasetBuilder(ImageShape target, DatasetOptions options, Runnable onProgress) {

  private static final Logger log = LoggerFactory.getLogger(DatasetBuilder.class);

  /** Decodes all images of the sources, which stay the caller's to close. */
  DatasetSplit build(FoundDataset found) throws IOException {
    String name = found.name();
    ImageSource training = found.training();
    ImageSource test = found.test();
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
      List<String> classes =
          IntStream.range(0, classes(training, test))
              .mapToObj(label -> DatasetSummary.className(training, label))
              .toList();
      StoredDataset images = trained.finish(name, classes);
      DatasetSplit split =
          heldOut.size() == 0
              ? new DatasetSplit(images, images, false)
              : new DatasetSplit(images, heldOut.finish(name, classes), true);
      log.info(
          "{}: {}",
          name,
          DatasetSummary.line(
              found,
              split,
              decoder.unreadable(),
              decoder.rotated(),
              decoder.colors(),
              test == null ? options.heldOutInterval() : 0));
      return split;
    }
  }

  /** The larger number of classes of the two splits; 0 if the training images have no labels. */
  private static int classes(ImageSource training, @Nullable ImageSource test) {
    return training.classes() == 0 || test == null
        ? training.classes()
        : Math.max(training.classes(), test.classes());
  }

  /** The folder for so many bytes of decoded images; null if they fit in memory. */
  private @Nullable Path scratchFolder(long bytes) throws IOException {
    if (bytes <= options.memoryBytes()) {
      return null;
    }
    Path folder = ScratchFile.folder(options.scratchFolder(), bytes);
    log.info(
        "decoded images are stored in a scratch file: size_mib={} folder={}", bytes >> 20, folder);
    return folder;
  }
}
