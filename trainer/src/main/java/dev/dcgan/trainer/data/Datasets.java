package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.source.CifarSource;
import dev.dcgan.trainer.data.source.FileKind;
import dev.dcgan.trainer.data.source.FileSource;
import dev.dcgan.trainer.data.source.FileTree;
import dev.dcgan.trainer.data.source.IdxFiles;
import dev.dcgan.trainer.data.source.IdxSource;
import dev.dcgan.trainer.data.source.IgnoredFiles;
import dev.dcgan.trainer.data.source.ImageFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Opens image datasets on disk; the format is detected from the files. */
public final class Datasets {

  private static final Pattern ARCHIVE_EXTENSION = Pattern.compile("\\.(zip|tar|tar\\.gz|tgz)$");
  private static final String FORMATS =
      "a folder, zip, tar or tar.gz of images, a folder of IDX files or one such file, or a folder"
          + " of CIFAR-10's binary batches";

  // So few images beside IDX files or CIFAR-10 show what is in them; they are not the dataset.
  private static final int MAX_IMAGES_BESIDE = 100;
  private static final String TRANSPOSED =
      "EMNIST's images are stored transposed and are turned upright";

  private Datasets() {}

  /**
   * Opens a folder or archive of images, IDX files, or CIFAR-10's binary batches; IDX files and
   * batches may be in a subfolder. Every image is decoded once, center-cropped to the target's
   * aspect ratio and resized to its size. One log line says what was understood.
   *
   * <p>The dataset's own test split is held out if it has one: {@code t10k} beside {@code train} in
   * IDX, {@code test_batch.bin}, folders for training and test in any usual spelling. Otherwise
   * every k-th readable image is held out. Image files are read in the order of their paths, so the
   * same files give the same dataset and digest on every machine.
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
    return find(data, options, new DatasetBuilder(target, options, onProgress)::build);
  }

  /**
   * Looks at a few images of a dataset, without decoding the others.
   *
   * @throws IOException see {@link #open}
   */
  public static DatasetSample sample(Path data, Path scratchFolder) throws IOException {
    DatasetOptions options = DatasetOptions.defaults().withScratchFolder(scratchFolder);
    return find(data, options, DatasetSample::of);
  }

  /** What to do with a dataset whose files are open. */
  private interface Use<T> {

    T apply(FoundDataset found) throws IOException;
  }

  private static <T> T find(Path data, DatasetOptions options, Use<T> use) throws IOException {
    if (!Files.exists(data)) {
      throw new IOException("cannot open " + data + ": it does not exist; expected " + FORMATS);
    }
    return Files.isDirectory(data) ? openFolder(data, use) : openFile(data, options, use);
  }

  private static <T> T openFolder(Path folder, Use<T> use) throws IOException {
    FileTree tree = FileTree.ofFolder(folder);
    if (IdxFiles.existIn(folder)) {
      return openIdx(folder, List.of(), use);
    }
    List<Path> batches = CifarSource.trainingBatches(folder);
    if (!batches.isEmpty()) {
      return openCifar(folder, batches, List.of(), use);
    }
    ImageFiles files = ImageFiles.of(tree);
    Set<Path> idx = tree.foldersWith(IdxFiles::isTrainingSet);
    Set<Path> cifar = tree.foldersWith(CifarSource::isTrainingBatch);
    int images = files.training().size() + files.test().size();
    if (images > MAX_IMAGES_BESIDE || idx.size() + cifar.size() == 0) {
      return openFiles(folder, tree, files, use);
    } else if (idx.size() + cifar.size() > 1) {
      throw new IOException(
          "cannot open %s: it has several datasets (%s); name one of them"
              .formatted(
                  folder,
                  Stream.concat(idx.stream(), cifar.stream())
                      .map(Path::toString)
                      .collect(Collectors.joining(", "))));
    }
    Path only = (idx.isEmpty() ? cifar : idx).iterator().next();
    String beside = images == 0 ? "" : "; %d image files beside it are ignored".formatted(images);
    List<String> note =
        List.of("found in its subfolder %s%s".formatted(folder.relativize(only), beside));
    return idx.isEmpty()
        ? openCifar(only, CifarSource.trainingBatches(only), note, use)
        : openIdx(only, note, use);
  }

  private static <T> T openFile(Path file, DatasetOptions options, Use<T> use) throws IOException {
    return switch (FileKind.of(file)) {
      case IDX -> openIdx(file, List.of(), use);
      case ZIP -> openArchive(file, FileTree.ofZip(file), use);
      case TAR -> openArchive(file, FileTree.ofTar(file), use);
      case TAR_GZ -> openArchive(file, FileTree.ofGzippedTar(file, options.scratchFolder()), use);
      case OTHER ->
          throw new IOException(
              "cannot open %s: it is %s; expected %s"
                  .formatted(file, FileKind.describe(file), FORMATS));
    };
  }

  private static <T> T openIdx(Path data, List<String> notes, Use<T> use) throws IOException {
    IdxFiles files = IdxFiles.open(data);
    Optional<IdxFiles> testFiles = files.test();
    try (IdxSource training = IdxSource.open(files);
        @Nullable IdxSource test = testFiles.isPresent() ? IdxSource.open(testFiles.get()) : null) {
      return use.apply(
          new FoundDataset(
              files.name(),
              training,
              test,
              testFiles.map(each -> each.images().getFileName().toString()).orElse(""),
              new IgnoredFiles(),
              files.isTransposed()
                  ? Stream.concat(notes.stream(), Stream.of(TRANSPOSED)).toList()
                  : notes));
    }
  }

  private static <T> T openCifar(Path folder, List<Path> batches, List<String> notes, Use<T> use)
      throws IOException {
    Optional<Path> testBatch = CifarSource.testBatch(folder);
    try (CifarSource training = CifarSource.open(batches);
        @Nullable CifarSource test =
            testBatch.isPresent() ? CifarSource.open(List.of(testBatch.get())) : null) {
      return use.apply(
          new FoundDataset(
              CifarSource.NAME,
              training,
              test,
              testBatch.map(each -> each.getFileName().toString()).orElse(""),
              new IgnoredFiles(),
              notes));
    }
  }

  private static <T> T openArchive(Path file, FileTree opened, Use<T> use) throws IOException {
    try (FileTree tree = opened) {
      return openFiles(file, tree, ImageFiles.of(tree), use);
    }
  }

  private static <T> T openFiles(Path data, FileTree tree, ImageFiles files, Use<T> use)
      throws IOException {
    if (files.training().isEmpty()) {
      throw new IOException(
          "cannot open %s: no image found: %s; expected %s"
              .formatted(data, FileKind.describe(tree), FORMATS));
    }
    return use.apply(
        new FoundDataset(
            nameOf(data),
            FileSource.ofTraining(tree, files),
            files.test().isEmpty() ? null : FileSource.ofTest(tree, files),
            files.heldOutFrom().isEmpty() ? "" : "folder " + files.heldOutFrom(),
            tree.ignored(),
            files.notes()));
  }

  private static String nameOf(Path data) {
    Path fileName = data.toAbsolutePath().normalize().getFileName();
    String name = fileName == null ? "images" : fileName.toString();
    return Files.isRegularFile(data) ? ARCHIVE_EXTENSION.matcher(name).replaceFirst("") : name;
  }
}
