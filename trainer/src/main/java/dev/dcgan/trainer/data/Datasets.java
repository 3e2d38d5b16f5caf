package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.data.source.CifarSource;
import dev.dcgan.trainer.data.source.FileSource;
import dev.dcgan.trainer.data.source.FileTree;
import dev.dcgan.trainer.data.source.IdxFiles;
import dev.dcgan.trainer.data.source.IdxSource;
import dev.dcgan.trainer.data.source.ImageFiles;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens pictures, whatever form they come in: tells the form by looking, decodes every picture
 * once, and divides them into those to train on and those to measure by.
 */
public final class Datasets {

  private static final Logger log = LoggerFactory.getLogger("pictures");
  private static final int MAX_HELD_OUT_DIGITS = 10_000;
  private static final int NAMED = 5;
  private static final String FORMS =
      "a folder or zip of PNG, JPEG, GIF, BMP or TIFF pictures, a folder of IDX files or one such"
          + " file, or a folder of CIFAR-10's binary batches";

  /**
   * How to open pictures.
   *
   * @param heldOutFraction of the pictures to keep from training where they bring no test pictures
   *     of their own, 0 to 0.5: one in so many, rounded
   * @param convertChannels whether grey pictures become colour (each value three times) and colour
   *     grey (luma) as the network wants; otherwise that is an error
   * @param maxUnreadable how many pictures may be passed over as unreadable; where not given, one
   *     in a hundred, at least one
   * @param memoryBytes up to which decoded pictures are kept in memory, else in a scratch file
   * @param cache the folder that the scratch file lies in
   */
  public record Options(
      double heldOutFraction,
      boolean convertChannels,
      OptionalInt maxUnreadable,
      long memoryBytes,
      Path cache) {

    public Options {
      if (!(heldOutFraction >= 0 && heldOutFraction <= 0.5)) {
        throw new IllegalArgumentException(
            heldOutFraction + " of the pictures held out; expected 0 to 0.5");
      }
      if (maxUnreadable.orElse(0) < 0 || memoryBytes < 0) {
        throw new IllegalArgumentException(
            "at most %s unreadable, %d bytes of memory; expected 0 or more"
                .formatted(maxUnreadable, memoryBytes));
      }
    }

    /** One in ten held out, nothing converted, a quarter of the heap, the system's own folder. */
    public static Options defaults() {
      return new Options(
          0.1,
          false,
          OptionalInt.empty(),
          Runtime.getRuntime().maxMemory() / 4,
          Path.of(System.getProperty("java.io.tmpdir", "/tmp")));
    }

    /** Each how many-th picture is held out; 0 for none. */
    private int every() {
      return heldOutFraction == 0
          ? 0
          : (int) Math.min(Integer.MAX_VALUE, Math.round(1 / heldOutFraction));
    }
  }

  private Datasets() {}

  /**
   * Opens a folder or zip of pictures, IDX files, or CIFAR-10's binary batches, in a network's
   * shape: resized so that the shorter side fits, and cropped at the centre.
   *
   * <p>Held out are the pictures' own test pictures where they bring some: {@code t10k} beside
   * {@code train} in IDX, {@code test_batch.bin}, folders {@code train} and {@code test}; otherwise
   * every k-th readable picture. Folders' pictures come in the order of their paths, so the same
   * files give the same pictures and digest everywhere.
   *
   * @param progressed told of each picture that was decoded or found unreadable, on this thread
   * @throws IOException no pictures, none of these forms, too many unreadable ones, grey and colour
   *     mixed, no space for the scratch file; the message says what to do
   */
  public static DatasetSplit open(Path data, ImageShape wanted, Options options, Runnable progressed)
      throws IOException {
    if (!Files.exists(data)) {
      throw new IOException(data + " does not exist; expected " + FORMS);
    }
    if (Files.isDirectory(data)) {
      if (IdxFiles.areIn(data)) {
        return idx(data, wanted, options, progressed);
      }
      List<Path> batches = CifarSource.trainingBatches(data);
      return batches.isEmpty()
          ? files(data, FileTree.ofFolder(data), wanted, options, progressed)
          : cifar(data, batches, wanted, options, progressed);
    }
    return switch (magic(data)) {
      case "PK" -> files(data, FileTree.ofZip(data), wanted, options, progressed);
      case "\0\0", "\u001F\u008B" -> idx(data, wanted, options, progressed); // plain or gzip
      default -> throw new IOException(data + " is neither IDX nor a zip; expected " + FORMS);
    };
  }

  /**
   * Digits that the program draws itself; held out are others of the same seed, as many, up to
   * 10,000.
   *
   * @param count to train on, 1 or more
   * @throws IOException the thread is interrupted
   */
  public static DatasetSplit digits(int count, long seed) throws IOException {
    try {
      return new DatasetSplit(
          new DigitsDataset(count, seed),
          new DigitsDataset(count, Math.min(count, MAX_HELD_OUT_DIGITS), seed),
          true);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static String magic(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(2);
      return new String(bytes, StandardCharsets.ISO_8859_1);
    }
  }

  private static DatasetSplit idx(Path data, ImageShape wanted, Options options, Runnable progressed)
      throws IOException {
    IdxFiles training = IdxFiles.open(data);
    Optional<IdxFiles> test = training.test();
    try (IdxSource source = IdxSource.open(training);
        @Nullable IdxSource own = test.isPresent() ? IdxSource.open(test.get()) : null) {
      return prepare(training.name(), source, own, wanted, options, progressed);
    }
  }

  private static DatasetSplit cifar(
      Path folder, List<Path> batches, ImageShape wanted, Options options, Runnable progressed)
      throws IOException {
    Optional<Path> test = CifarSource.testBatch(folder);
    try (CifarSource source = CifarSource.open(batches);
        @Nullable CifarSource own =
            test.isPresent() ? CifarSource.open(List.of(test.get())) : null) {
      return prepare(CifarSource.NAME, source, own, wanted, options, progressed);
    }
  }

  private static DatasetSplit files(
      Path data, FileTree opened, ImageShape wanted, Options options, Runnable progressed)
      throws IOException {
    try (FileTree tree = opened) {
      ImageFiles files = ImageFiles.of(tree.names());
      if (files.training().isEmpty()) {
        throw new IOException(data + " holds no pictures by their names; expected " + FORMS);
      }
      if (!files.aside().isEmpty()) {
        log.info(
            "{}: {} files are passed over: {}",
            data,
            files.aside().size(),
            ImageFiles.some(files.aside(), NAMED));
      }
      FileSource training = new FileSource(tree, files, files.training());
      FileSource test = files.test().isEmpty() ? null : new FileSource(tree, files, files.test());
      return prepare(nameOf(data), training, test, wanted, options, progressed);
    }
  }

  private static String nameOf(Path data) {
    Path named = data.toAbsolutePath().normalize().getFileName();
    String name = named == null ? "pictures" : named.toString();
    boolean zip = Files.isRegularFile(data) && name.endsWith(".zip");
    return zip ? name.substring(0, name.length() - ".zip".length()) : name;
  }

  private static DatasetSplit prepare(
      String name,
      ImageSource training,
      @Nullable ImageSource test,
      ImageShape wanted,
      Options options,
      Runnable progressed)
      throws IOException {
    int total = Math.addExact(training.size(), test == null ? 0 : test.size());
    Path folder = scratchFolder((long) total * wanted.values(), options);
    try (Preparation preparation = new Preparation(name, wanted, total, options, progressed);
        StoredImages.Writer trained = new StoredImages.Writer(wanted, folder);
        StoredImages.Writer heldOut = new StoredImages.Writer(wanted, folder)) {
      if (test == null) {
        int every = options.every();
        preparation.run(
            training,
            (position, pixels, label) ->
                (every > 0 && position % every == every - 1 ? heldOut : trained)
                    .add(pixels, label));
      } else {
        preparation.run(training, (position, pixels, label) -> trained.add(pixels, label));
        preparation.run(test, (position, pixels, label) -> heldOut.add(pixels, label));
      }
      preparation.finish(trained.size());
      int classes = classes(training, test);
      StoredImages pictures = trained.finish(name, classes);
      return heldOut.size() == 0
          ? new DatasetSplit(pictures, pictures, false)
          : new DatasetSplit(pictures, heldOut.finish(name, classes), true);
    }
  }

  /** As many as either part tells apart; none where one of them has no labels. */
  private static int classes(ImageSource training, @Nullable ImageSource test) {
    if (test == null) {
      return training.classes();
    }
    int fewer = Math.min(training.classes(), test.classes());
    return fewer == 0 ? 0 : Math.max(training.classes(), test.classes());
  }

  /** Where decoded pictures go that need so much space; null where they fit in memory. */
  private static @Nullable Path scratchFolder(long bytes, Options options) throws IOException {
    if (bytes <= options.memoryBytes()) {
      return null;
    }
    Path folder = options.cache();
    if (!Files.isDirectory(folder)) {
      throw new IOException(
          "%s is no folder; expected one with space for %d bytes of decoded pictures: name it by JDK_JAVA_OPTIONS=-Djava.io.tmpdir=<folder>"
              .formatted(folder, bytes));
    }
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < bytes) {
      throw new IOException(
          "%s has space for %d bytes; decoded pictures need %d: name another folder by JDK_JAVA_OPTIONS=-Djava.io.tmpdir=<folder>"
              .formatted(folder, free, bytes));
    }
    log.info("decoded pictures, {} MiB, go to a scratch file in {}", bytes >> 20, folder);
    return folder;
  }
}
