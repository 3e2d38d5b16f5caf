package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.source.CifarSource;
import dev.dcgan.trainer.data.source.FileSource;
import dev.dcgan.trainer.data.source.FileTree;
import dev.dcgan.trainer.data.source.IdxFiles;
import dev.dcgan.trainer.data.source.IdxSource;
import dev.dcgan.trainer.data.source.ImageFiles;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Opens image datasets on disk; the format is detected from the files. */
public final class Datasets {

  private static final Logger log = LoggerFactory.getLogger(Datasets.class);
  private static final int MAX_NAMED_FILES = 5;
  private static final String FORMATS =
      "a folder or zip of PNG, JPEG, GIF, BMP or TIFF images, a folder of IDX files or one such"
          + " file, or a folder of CIFAR-10's binary batches";

  private Datasets() {}

  /**
   * Opens a folder or zip of images, IDX files, or CIFAR-10's binary batches. Every image is
   * decoded once, center-cropped to the target's aspect ratio and resized to its size.
   *
   * <p>The dataset's own test split is held out if it has one: {@code t10k} beside {@code train} in
   * IDX, {@code test_batch.bin}, folders {@code train} and {@code test}. Otherwise every k-th
   * readable image is held out. Image files are read in the order of their paths, so the same files
   * give the same dataset and digest on every machine.
   *
   * @param target the network's image shape
   * @param onProgress called on this thread for each image that was decoded or found unreadable
   * @throws IOException if there are no images, the format is unknown, too many images are
   *     unreadable, grey and RGB images are mixed, or the scratch file has no space; the message
   *     says what to do
   */
  public static DatasetSplit open(
      Path data, ImageShape target, DatasetOptions options, Runnable onProgress)
      throws IOException {
    return open(data, new DatasetBuilder(target, options, onProgress, false));
  }

  /**
   * Looks at a few images of a dataset, without decoding the others.
   *
   * @return their largest height and width when cropped to squares, but at most 64, and 3 channels
   *     if one of them is RGB, otherwise 1
   * @throws IOException see {@link #open(Path, ImageShape, DatasetOptions, Runnable)}
   */
  public static ImageShape sampleShape(Path data) throws IOException {
    DatasetBuilder builder =
        new DatasetBuilder(new ImageShape(64, 64, 3), DatasetOptions.defaults(), () -> {}, true);
    try (DatasetSplit samples = open(data, builder)) {
      return samples.training().shape();
    }
  }

  private static DatasetSplit open(Path data, DatasetBuilder builder) throws IOException {
    if (!Files.exists(data)) {
      throw new IOException("cannot open " + data + ": it does not exist; expected " + FORMATS);
    }
    if (Files.isDirectory(data)) {
      if (IdxFiles.existIn(data)) {
        return openIdx(data, builder);
      }
      List<Path> batches = CifarSource.trainingBatches(data);
      return batches.isEmpty()
          ? openFiles(data, FileTree.ofFolder(data), builder)
          : openCifar(data, batches, builder);
    }
    return switch (magic(data)) {
      case "PK" -> openFiles(data, FileTree.ofZip(data), builder);
      case "\0\0", "\u001F\u008B" -> openIdx(data, builder); // plain or gzip
      default ->
          throw new IOException(
              "cannot open " + data + ": it is neither IDX nor a zip; expected " + FORMATS);
    };
  }

  private static String magic(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(2);
      return new String(bytes, StandardCharsets.ISO_8859_1);
    }
  }

  private static DatasetSplit openIdx(Path data, DatasetBuilder builder) throws IOException {
    IdxFiles files = IdxFiles.open(data);
    Optional<IdxFiles> testFiles = files.test();
    try (IdxSource training = IdxSource.open(files);
        @Nullable IdxSource test = testFiles.isPresent() ? IdxSource.open(testFiles.get()) : null) {
      return builder.build(files.name(), training, test);
    }
  }

  private static DatasetSplit openCifar(Path folder, List<Path> batches, DatasetBuilder builder)
      throws IOException {
    Optional<Path> testBatch = CifarSource.testBatch(folder);
    try (CifarSource training = CifarSource.open(batches);
        @Nullable CifarSource test =
            testBatch.isPresent() ? CifarSource.open(List.of(testBatch.get())) : null) {
      return builder.build(CifarSource.NAME, training, test);
    }
  }

  private static DatasetSplit openFiles(Path data, FileTree opened, DatasetBuilder builder)
      throws IOException {
    try (FileTree tree = opened) {
      ImageFiles files = ImageFiles.of(tree.names());
      if (files.training().isEmpty()) {
        throw new IOException(
            "cannot open " + data + ": no file has an image's extension; expected " + FORMATS);
      }
      if (!files.skipped().isEmpty() && !builder.samples()) {
        log.info(
            "{}: skipped {} files: {}",
            data,
            files.skipped().size(),
            ImageFiles.summarize(files.skipped(), MAX_NAMED_FILES));
      }
      FileSource training = new FileSource(tree, files, files.training());
      FileSource test = files.test().isEmpty() ? null : new FileSource(tree, files, files.test());
      return builder.build(nameOf(data), training, test);
    }
  }

  private static String nameOf(Path data) {
    Path fileName = data.toAbsolutePath().normalize().getFileName();
    String name = fileName == null ? "images" : fileName.toString();
    boolean zip = Files.isRegularFile(data) && name.endsWith(".zip");
    return zip ? name.substring(0, name.length() - ".zip".length()) : name;
  }
}
