package dev.dcgan.model;

import com.google.protobuf.util.JsonFormat;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The folder {@code <root>/<model>/<version>/} through which trainer and sampler hand models over:
 * the layout that Triton and TensorFlow Serving use too.
 *
 * <p>A reader sees a whole version or none: {@link #publish} prepares a hidden folder beside the
 * versions, checks it and renames it. A pinned version's number stands in the model's hidden file
 * {@code .serving-version}. Any number of processes may read and publish at once on one POSIX file
 * system; publishers of one model take turns by a lock on its hidden file {@code .lock}.
 */
public final class ModelRepository {

  /** What a model's name is made of, in words. */
  public static final String NAME_RULE = "lower-case letters, digits, '.', '-' and '_', at most 63";

  /** The last version that there may be. */
  public static final long LAST_VERSION = 999_999_999_999_999_999L;

  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");
  private static final Pattern VERSION = Pattern.compile("[1-9][0-9]{0,17}");
  private static final String LAST_VERSION_FILE = ".last-version";
  private static final String SERVING_VERSION = ".serving-version";
  private static final String LOCK = ".lock";
  private static final String UNPUBLISHED = ".publishing";
  private static final int MOST_OF_A_PIN = 40;
  private static final Object PUBLISHING = new Object();

  private final Path root;

  public ModelRepository(Path root) {
    this.root = root;
  }

  public Path root() {
    return root;
  }

  /** Whether {@code name} may name a model: {@link #NAME_RULE}. */
  public static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  /**
   * The models that have a version, in alphabetical order; none where the root does not exist yet.
   */
  public List<String> models() throws IOException {
    List<String> models = new ArrayList<>();
    for (Path entry : list(root)) {
      String name = entry.getFileName().toString();
      if (isName(name) && Files.isDirectory(entry) && !versions(name).isEmpty()) {
        models.add(name);
      }
    }
    Collections.sort(models);
    return models;
  }

  /** The versions of a model, newest first; not opened, so some may be invalid. */
  public List<Long> versions(String model) throws IOException {
    return list(folder(model)).stream()
        .filter(Files::isDirectory)
        .map(path -> path.getFileName().toString())
        .filter(name -> VERSION.matcher(name).matches())
        .map(Long::valueOf)
        .sorted(Comparator.reverseOrder())
        .toList();
  }

  /**
   * Opens one version.
   *
   * @throws InvalidModelException see {@link ModelBundle#open}
   */
  public ModelBundle open(String model, long version) throws IOException {
    return ModelBundle.open(folder(model).resolve(Long.toString(version)));
  }

  /**
   * Opens one version without reading its model.
   *
   * @throws InvalidModelException see {@link ModelBundle#describe}
   */
  public ModelBundle describe(String model, long version) throws IOException {
    return ModelBundle.describe(folder(model).resolve(Long.toString(version)));
  }

  /** Whether a version has a model but no manifest, as one that was put there by hand. */
  public boolean isBare(String model, long version) throws IOException {
    return ModelBundle.isBare(folder(model).resolve(Long.toString(version)));
  }

  /**
   * Opens a version that has no manifest.
   *
   * @throws InvalidModelException it does not describe a generator
   */
  public ModelBundle openUnverified(String model, long version, ModelBundle.Describer describer)
      throws IOException {
    return ModelBundle.openUnverified(
        folder(model).resolve(Long.toString(version)), model, version, describer);
  }

  /**
   * The version that {@link #pin} put in service for all samplers, if one did.
   *
   * @throws InvalidModelException the file that says so is damaged
   */
  public OptionalLong pinned(String model) throws IOException {
    Path file = pinFile(model);
    if (Files.notExists(file)) {
      return OptionalLong.empty();
    }
    if (!Files.isRegularFile(file)) {
      throw new InvalidModelException(file + " is not a file; expected one, or nothing there");
    }
    String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8).strip();
    if (!VERSION.matcher(text).matches()) {
      throw new InvalidModelException(
          "%s holds '%s'; expected the number of a version: pin one again, or delete the file"
              .formatted(
                  file,
                  text.substring(0, Math.min(text.length(), MOST_OF_A_PIN))
                      .replaceAll("\\p{Cntrl}", "?")));
    }
    return OptionalLong.of(Long.parseLong(text));
  }

  /** Makes all samplers serve one version, whether or not there are newer ones. */
  public void pin(String model, long version) throws IOException {
    if (version < 1 || version > LAST_VERSION) {
      throw new IllegalArgumentException(
          "version " + Long.toUnsignedString(version) + " cannot be pinned; expected 1 or more");
    }
    DurableFiles.replace(pinFile(model), StandardCharsets.UTF_8.encode(version + "\n"));
  }

  /** Lets the newest valid version be served again. */
  public void unpin(String model) throws IOException {
    if (Files.deleteIfExists(pinFile(model))) {
      DurableFiles.syncFolder(folder(model));
    }
  }

  /** Holds the pinned version's number. */
  public Path pinFile(String model) throws InvalidModelException {
    return folder(model).resolve(SERVING_VERSION);
  }

  /**
   * Publishes a model as the next version of its name.
   *
   * @param draft the manifest but for format_version, version, digest and size, which are filled in
   *     here
   * @return the version as a reader opens it
   * @throws InvalidModelException the draft does not describe a valid version; nothing was
   *     published
   * @throws IOException the versions before are untouched, and nothing was published unless the
   *     disk failed in the last step, the forcing of the rename
   */
  public ModelBundle publish(ModelManifest draft, byte[] onnx) throws IOException {
    Path folder = folder(draft.getModel().getName());
    DurableFiles.createFolder(folder);
    DurableFiles.syncFolder(root); // Who made it may have died before.
    // The file's lock is the process's: between threads of one process it is no lock.
    synchronized (PUBLISHING) {
      try (FileChannel lock =
          FileChannel.open(
              folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        lock.lock(); // Until the channel is closed, or the process dies.
        return publishLocked(folder, draft, onnx);
      }
    }
  }

  private static ModelBundle publishLocked(Path folder, ModelManifest draft, byte[] onnx)
      throws IOException {
    Path hidden = folder.resolve(UNPUBLISHED);
    // What a publisher left that died: whoever holds the lock knows that it writes no more.
    deleteFolder(hidden);
    Files.createDirectory(hidden);
    try {
      long version = nextVersion(folder);
      write(hidden, complete(draft, version, onnx), onnx);
      ModelBundle.validate(hidden);
      // Before the rename: a version that a reader may have seen is never given out again.
      DurableFiles.replace(
          folder.resolve(LAST_VERSION_FILE), StandardCharsets.UTF_8.encode(version + "\n"));
      Path published = folder.resolve(Long.toString(version));
      Files.move(hidden, published, StandardCopyOption.ATOMIC_MOVE);
      DurableFiles.syncFolder(folder);
      return ModelBundle.open(published);
    } catch (IOException e) {
      try {
        deleteFolder(hidden);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  private static void write(Path hidden, ModelManifest manifest, byte[] onnx) throws IOException {
    String json = JsonFormat.printer().print(manifest);
    DurableFiles.write(hidden.resolve(ModelBundle.MODEL_FILE), ByteBuffer.wrap(onnx));
    DurableFiles.write(
        hidden.resolve(ModelBundle.MANIFEST_FILE), StandardCharsets.UTF_8.encode(json));
    DurableFiles.syncFolder(hidden);
  }

  private static ModelManifest complete(ModelManifest draft, long version, byte[] onnx) {
    ModelManifest.Builder manifest =
        draft.toBuilder().setFormatVersion(ModelBundle.FORMAT_VERSION).setOnnxBytes(onnx.length);
    manifest.getModelBuilder().setVersion(version).setSha256(new Sha256().add(onnx).hex());
    return manifest.build();
  }

  private static long nextVersion(Path folder) throws IOException {
    long newest = 0;
    for (Path path : list(folder)) {
      String name = path.getFileName().toString();
      if (VERSION.matcher(name).matches()) {
        newest = Math.max(newest, Long.parseLong(name));
      }
    }
    Path last = folder.resolve(LAST_VERSION_FILE);
    if (Files.exists(last)) {
      String text = Files.readString(last).strip();
      if (!VERSION.matcher(text).matches()) {
        throw new IOException(
            "%s holds '%s'; expected the last version's number: write it there and publish again"
                .formatted(last, text));
      }
      newest = Math.max(newest, Long.parseLong(text));
    }
    return newest + 1;
  }

  private Path folder(String model) throws InvalidModelException {
    if (!isName(model)) {
      throw new InvalidModelException(
          "'%s' cannot name a model; expected %s".formatted(model, NAME_RULE));
    }
    return root.resolve(model);
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void deleteFolder(Path folder) throws IOException {
    for (Path file : list(folder)) {
      Files.deleteIfExists(file);
    }
    Files.deleteIfExists(folder);
  }
}
