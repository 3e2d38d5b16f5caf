package dev.dcgan.model;

import com.google.protobuf.util.JsonFormat;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The folder {@code <root>/<model>/<version>/} through which trainer and sampler hand models over:
 * the layout that Triton and TensorFlow Serving use too.
 *
 * <p>A reader sees a whole version or none: {@link #publish} prepares a hidden folder beside the
 * versions and renames it. Any number of processes may read and publish at once on one POSIX file
 * system.
 */
public final class ModelRepository {

  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");
  private static final Pattern VERSION = Pattern.compile("[1-9][0-9]{0,17}");
  private static final String LAST_VERSION = ".last-version";
  private static final String UNPUBLISHED = ".publishing-";

  private final Path root;

  public ModelRepository(Path root) {
    this.root = root;
  }

  public Path root() {
    return root;
  }

  /**
   * Whether {@code name} may name a model: lower case, digits, dot, dash, underscore; 63 at most.
   */
  public static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  /**
   * The models that have a version, in alphabetical order; none where the root does not exist yet.
   */
  public List<String> models() throws IOException {
    return list(root).stream()
        .map(path -> path.getFileName().toString())
        .filter(ModelRepository::isName)
        .filter(
            name -> {
              try {
                return !versions(name).isEmpty();
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            })
        .sorted()
        .toList();
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
   * Publishes a model as the next version of its name.
   *
   * @param draft the manifest but for format_version, version, digest and size, which are filled in
   *     here
   * @return the version as a reader opens it
   * @throws IOException nothing was published, and the versions before are untouched
   */
  public ModelBundle publish(ModelManifest draft, byte[] onnx) throws IOException {
    String model = draft.getModel().getName();
    Path folder = folder(model);
    Files.createDirectories(folder);
    Path hidden = Files.createDirectory(folder.resolve(UNPUBLISHED + UUID.randomUUID()));
    try {
      DurableFiles.write(hidden.resolve(ModelBundle.MODEL_FILE), ByteBuffer.wrap(onnx));
      while (true) {
        long version = nextVersion(folder);
        Path target = folder.resolve(Long.toString(version));
        String manifest = JsonFormat.printer().print(complete(draft, version, onnx));
        DurableFiles.replace(
            hidden.resolve(ModelBundle.MANIFEST_FILE), StandardCharsets.UTF_8.encode(manifest));
        // Before the rename: a version that a reader may have seen is never given out again.
        rememberVersion(folder, version);
        if (renameUnlessTaken(hidden, target)) {
          DurableFiles.syncFolder(folder);
          return ModelBundle.open(target);
        }
      }
    } finally {
      deleteFolder(hidden);
    }
  }

  private static ModelManifest complete(ModelManifest draft, long version, byte[] onnx) {
    ModelManifest.Builder manifest =
        draft.toBuilder().setFormatVersion(ModelBundle.FORMAT_VERSION).setOnnxBytes(onnx.length);
    manifest.getModelBuilder().setVersion(version).setSha256(ModelBundle.sha256(onnx));
    return manifest.build();
  }

  private long nextVersion(Path folder) throws IOException {
    long newest = 0;
    for (Path path : list(folder)) {
      String name = path.getFileName().toString();
      if (VERSION.matcher(name).matches()) {
        newest = Math.max(newest, Long.parseLong(name));
      }
    }
    Path last = folder.resolve(LAST_VERSION);
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

  private static void rememberVersion(Path folder, long version) throws IOException {
    DurableFiles.replace(
        folder.resolve(LAST_VERSION), StandardCharsets.UTF_8.encode(version + "\n"));
  }

  /**
   * False when another publisher took the number first: rename(2) refuses a folder that is not
   * empty.
   */
  private static boolean renameUnlessTaken(Path hidden, Path target) throws IOException {
    try {
      Files.move(hidden, target, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (DirectoryNotEmptyException | FileAlreadyExistsException e) {
      return false;
    } catch (FileSystemException e) {
      if (Files.exists(target)) {
        return false;
      }
      throw e;
    }
  }

  private Path folder(String model) throws InvalidModelException {
    if (!isName(model)) {
      throw new InvalidModelException(
          "'%s' cannot name a model; expected lower-case letters, digits, '.', '-' and '_', at most 63"
              .formatted(model));
    }
    return root.resolve(model);
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.toList();
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    }
  }

  private static void deleteFolder(Path folder) throws IOException {
    for (Path file : list(folder)) {
      Files.deleteIfExists(file);
    }
    Files.deleteIfExists(folder);
  }
}
