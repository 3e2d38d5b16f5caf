package dev.dcgan.model;

import com.google.protobuf.util.JsonFormat;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The model repository: folders {@code <root>/<model>/<version>/}, the layout of Triton and
 * TensorFlow Serving. The trainer publishes models to it and the sampler serves models from it.
 *
 * <p>A reader sees a complete version or none: {@link #publish} prepares a hidden folder beside the
 * versions, validates it and renames it. The number of a pinned version is stored in the model's
 * hidden file {@code .serving-version}. Any number of processes may read and publish concurrently
 * on one POSIX file system; a lock on the hidden file {@code .lock} serializes publishers of one
 * model.
 */
public final class ModelRepository {

  /** The rule for model names, for error messages. */
  public static final String NAME_RULE = "lower-case letters, digits, '.', '-' and '_', at most 63";

  /** The maximum version number. */
  public static final long MAX_VERSION = 999_999_999_999_999_999L;

  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");
  private static final Pattern VERSION = Pattern.compile("[1-9][0-9]{0,17}");
  private static final String LAST_VERSION_FILE = ".last-version";
  static final String SERVING_VERSION = ".serving-version";
  private static final String LOCK = ".lock";
  private static final String UNPUBLISHED = ".publishing";
  private static final int MAX_PIN_EXCERPT = 40;
  private static final int MAX_NUMBER_BYTES = 4096;
  private static final Duration UNFINISHED_PIN_AGE = Duration.ofHours(1);
  private static final Object PUBLISHING = new Object();

  private final Path root;
  private final @Nullable SigningKey signer;
  private final @Nullable TrustedKeys trusted;

  /** A repository whose versions are published unsigned, and served signed or not. */
  public ModelRepository(Path root) {
    this(root, null, null);
  }

  private ModelRepository(Path root, @Nullable SigningKey signer, @Nullable TrustedKeys trusted) {
    this.root = root;
    this.signer = signer;
    this.trusted = trusted;
  }

  /**
   * A repository for publishing.
   *
   * @param signer signs the manifests; null: they stay unsigned
   */
  public static ModelRepository signing(Path root, @Nullable SigningKey signer) {
    return new ModelRepository(root, signer, null);
  }

  /**
   * A repository for reading.
   *
   * @param trusted the keys of which one must have signed a version; null: any version is valid
   */
  public static ModelRepository trusting(Path root, @Nullable TrustedKeys trusted) {
    return new ModelRepository(root, null, trusted);
  }

  public Path root() {
    return root;
  }

  /** Whether {@code name} is a valid model name: {@link #NAME_RULE}. */
  public static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  /**
   * Returns the models with at least one version, sorted by name. The root need not exist yet. A
   * folder that cannot be read is left out; {@link #survey} names it.
   *
   * @throws IOException if the root cannot be read
   */
  public List<String> models() throws IOException {
    List<String> models = new ArrayList<>();
    for (Path entry : list(root)) {
      String name = entry.getFileName().toString();
      if (isName(name) && Files.isDirectory(entry) && hasVersions(name)) {
        models.add(name);
      }
    }
    Collections.sort(models);
    return models;
  }

  private boolean hasVersions(String model) {
    try {
      return !versions(model).isEmpty();
    } catch (IOException e) {
      return false; // One unreadable folder must not hide the other models.
    }
  }

  /**
   * Lists what is in the repository, and what looks like a model but cannot be served and why. The
   * root need not exist yet.
   *
   * @throws IOException if the root cannot be read
   */
  public RepositorySurvey survey() throws IOException {
    return Surveyor.survey(this);
  }

  /** Whether {@code name} is the name of a version's folder. */
  static boolean isVersion(String name) {
    return VERSION.matcher(name).matches();
  }

  /** Returns the versions of a model, newest first. They are not validated. */
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
    return ModelBundle.open(folder(model).resolve(Long.toString(version)), trusted);
  }

  /**
   * Opens one version without reading its model.
   *
   * @throws InvalidModelException see {@link ModelBundle#describe}
   */
  public ModelBundle describe(String model, long version) throws IOException {
    return ModelBundle.describe(folder(model).resolve(Long.toString(version)), trusted);
  }

  /** Whether a version has a model but no manifest, for example because it was copied there. */
  public boolean isBare(String model, long version) throws IOException {
    return ModelBundle.isBare(folder(model).resolve(Long.toString(version)));
  }

  /** Returns the SHA-256 digest of a version's model.onnx as it is on disk now. */
  public String digest(String model, long version) throws IOException {
    Path folder = folder(model).resolve(Long.toString(version));
    return ModelFile.digest(folder.resolve(ModelBundle.MODEL_FILE)).sha256();
  }

  /**
   * Opens a version that has no manifest.
   *
   * @throws InvalidModelException if the model is not a generator, or versions must be signed
   */
  public ModelBundle openUnverified(String model, long version, ModelBundle.Describer describer)
      throws IOException {
    if (trusted != null) {
      throw new InvalidModelException(
          "%s/%d has no manifest that could be signed; publish it with a signing key"
              .formatted(model, version));
    }
    return ModelBundle.openUnverified(
        folder(model).resolve(Long.toString(version)), model, version, describer);
  }

  /**
   * Returns the version that {@link #pin} pinned for all samplers, if any.
   *
   * @throws InvalidModelException if the file that stores it is damaged
   */
  public OptionalLong pinned(String model) throws IOException {
    Path file = pinFile(model);
    if (Files.notExists(file)) {
      return OptionalLong.empty();
    }
    if (!Files.isRegularFile(file)) {
      throw new InvalidModelException(
          file + " is not a file; expected a file with a version number, or no file");
    }
    String text = readText(file);
    if (!VERSION.matcher(text).matches()) {
      throw new InvalidModelException(
          "%s holds '%s'; expected a version number: pin a version again, or delete the file"
              .formatted(
                  file,
                  text.substring(0, Math.min(text.length(), MAX_PIN_EXCERPT))
                      .replaceAll("\\p{Cntrl}", "?")));
    }
    return OptionalLong.of(Long.parseLong(text));
  }

  /** Pins a version: all samplers serve it even if newer versions exist. */
  public void pin(String model, long version) throws IOException {
    if (version < 1 || version > MAX_VERSION) {
      throw new IllegalArgumentException(
          "cannot pin version " + Long.toUnsignedString(version) + "; expected 1 or more");
    }
    Path file = pinFile(model);
    AtomicFiles.replace(file, StandardCharsets.UTF_8.encode(version + "\n"));
    try {
      deleteUnfinishedPins(folder(model));
    } catch (IOException e) {
      // The version is pinned. The next pin tries again.
    }
  }

  /**
   * Deletes the temporary files of processes that were killed while they pinned. Pins need no lock,
   * so that a suspended process delays no other: age tells the files from those of concurrent pins,
   * which exist for a moment. Both times are of the clock of the file system.
   */
  private static void deleteUnfinishedPins(Path folder) throws IOException {
    Instant now = Files.getLastModifiedTime(folder.resolve(SERVING_VERSION)).toInstant();
    for (Path file : list(folder)) {
      if (AtomicFiles.unfinished(file).filter(SERVING_VERSION::equals).isPresent()
          && Files.getLastModifiedTime(file).toInstant().isBefore(now.minus(UNFINISHED_PIN_AGE))) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** Unpins the version, so that samplers serve the newest valid version again. */
  public void unpin(String model) throws IOException {
    if (Files.deleteIfExists(pinFile(model))) {
      AtomicFiles.syncFolder(folder(model));
    }
  }

  /** Returns the file that stores the pinned version's number. */
  public Path pinFile(String model) throws InvalidModelException {
    return folder(model).resolve(SERVING_VERSION);
  }

  /**
   * Publishes a model as the next version of its name.
   *
   * @param draft the manifest without format_version, version, digest and size, which this method
   *     sets
   * @return the version as a reader opens it
   * @throws InvalidModelException if the draft does not describe a valid version; nothing was
   *     published
   * @throws IOException if writing failed; existing versions are unchanged, and nothing was
   *     published unless the disk failed in the last step, which forces the rename to the disk
   */
  public ModelBundle publish(ModelManifest draft, byte[] onnx) throws IOException {
    Path folder = folder(draft.getModel().getName());
    AtomicFiles.createFolder(folder);
    AtomicFiles.syncFolder(root); // The process that created it may have crashed.
    // A file lock belongs to the process, so it does not exclude threads of this process.
    synchronized (PUBLISHING) {
      try (FileChannel lock =
          FileChannel.open(
              folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        lock.lock(); // Held until the channel is closed or the process dies.
        return publishLocked(folder, draft, onnx);
      }
    }
  }

  private ModelBundle publishLocked(Path folder, ModelManifest draft, byte[] onnx)
      throws IOException {
    Path hidden = folder.resolve(UNPUBLISHED);
    // A publisher that crashed may have left these. It no longer writes: we hold the lock.
    deleteFolder(hidden);
    deleteUnfinished(folder, LAST_VERSION_FILE);
    Files.createDirectory(hidden);
    try {
      long version = nextVersion(folder);
      write(hidden, complete(draft, version, onnx), onnx);
      ModelBundle.validate(hidden, null);
      // Before the rename, so that a version number that a reader may have seen is never reused.
      AtomicFiles.replace(
          folder.resolve(LAST_VERSION_FILE), StandardCharsets.UTF_8.encode(version + "\n"));
      Path published = folder.resolve(Long.toString(version));
      Files.move(hidden, published, StandardCopyOption.ATOMIC_MOVE);
      AtomicFiles.syncFolder(folder);
      return ModelBundle.open(published, null);
    } catch (IOException e) {
      try {
        deleteFolder(hidden);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  private void write(Path hidden, ModelManifest manifest, byte[] onnx) throws IOException {
    byte[] json = JsonFormat.printer().print(manifest).getBytes(StandardCharsets.UTF_8);
    AtomicFiles.write(hidden.resolve(ModelBundle.MODEL_FILE), ByteBuffer.wrap(onnx));
    AtomicFiles.write(hidden.resolve(ModelBundle.MANIFEST_FILE), ByteBuffer.wrap(json));
    if (signer != null) {
      AtomicFiles.write(hidden.resolve(ModelBundle.SIGNATURE_FILE), signer.sign(json));
    }
    AtomicFiles.syncFolder(hidden);
  }

  private static ModelManifest complete(ModelManifest draft, long version, byte[] onnx) {
    ModelManifest.Builder manifest =
        draft.toBuilder()
            .setFormatVersion(ModelBundle.formatVersion(draft))
            .setOnnxBytes(onnx.length);
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
      String text = readText(last);
      if (!VERSION.matcher(text).matches()) {
        throw new IOException(
            "%s holds '%s'; expected the last version number: write it there and publish again"
                .formatted(last, text));
      }
      newest = Math.max(newest, Long.parseLong(text));
    }
    return newest + 1;
  }

  /** The number in a file, which anyone may have replaced by a large one. */
  private static String readText(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return new String(in.readNBytes(MAX_NUMBER_BYTES), StandardCharsets.UTF_8).strip();
    }
  }

  private Path folder(String model) throws InvalidModelException {
    if (!isName(model)) {
      throw new InvalidModelException(
          "'%s' is not a valid model name; expected %s".formatted(model, NAME_RULE));
    }
    return root.resolve(model);
  }

  static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Deletes the temporary files of killed processes that were to replace a file. */
  private static void deleteUnfinished(Path folder, String name) throws IOException {
    for (Path file : list(folder)) {
      if (AtomicFiles.unfinished(file).filter(name::equals).isPresent()) {
        Files.deleteIfExists(file);
      }
    }
  }

  private static void deleteFolder(Path folder) throws IOException {
    for (Path file : list(folder)) {
      Files.deleteIfExists(file);
    }
    Files.deleteIfExists(folder);
  }
}
