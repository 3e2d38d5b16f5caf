package dev.dcgan.sampler.export;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.model.AtomicFiles;
import dev.dcgan.v1.ExportManifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where an export goes: {@code export.json}, which says what all its parts agree on, and the
 * shards.
 *
 * <p>Any number of processes may write into one at once, each a part of its own. The first to come
 * makes {@code export.json}, and it is never changed. A reader sees a whole shard or none, also
 * where two processes write one part; but then the one that began later takes what the other is
 * writing for a leftover, and the other fails.
 */
final class ExportFolder {

  /** The newest format of {@code export.json} that this code writes and reads. */
  static final int FORMAT_VERSION = 1;

  private static final Logger log = LoggerFactory.getLogger("export");
  private static final String MANIFEST_FILE = "export.json";

  private final Path folder;
  private final Path manifestFile;

  /** The folder is made where it does not exist. */
  ExportFolder(Path folder) throws IOException {
    this.folder = folder;
    this.manifestFile = folder.resolve(MANIFEST_FILE);
    AtomicFiles.createFolder(folder);
  }

  /** {@code mnist28-000007.tar}. */
  Path shard(String model, int number) {
    return folder.resolve("%s-%06d.tar".formatted(model, number));
  }

  /**
   * What the parts agreed on; empty: none has come yet.
   *
   * @throws IOException it cannot be read, or there is none though there are shards
   */
  Optional<ExportManifest> agreed() throws IOException {
    Optional<ExportManifest> agreed = read();
    if (agreed.isPresent()) {
      return agreed;
    }
    for (Path file : list()) {
      if (file.getFileName().toString().endsWith(".tar")) {
        agreed = read(); // It is made before the first shard is: once more, after that was seen.
        if (agreed.isEmpty()) {
          throw new IOException(
              "%s is there, but no %s that says what it holds: choose an empty --out"
                  .formatted(file, MANIFEST_FILE));
        }
        return agreed;
      }
    }
    return agreed;
  }

  /** Makes {@code export.json} of {@code mine}, unless there is one: returns what is there. */
  ExportManifest agree(ExportManifest mine) throws IOException {
    String json = JsonFormat.printer().alwaysPrintFieldsWithNoPresence().print(mine) + "\n";
    try {
      if (AtomicFiles.create(manifestFile, StandardCharsets.UTF_8.encode(json))) {
        return mine;
      }
    } catch (IOException e) {
      throw cannotWrite(manifestFile, e);
    }
    return read().orElseThrow(() -> new IOException(manifestFile + " vanished: start again"));
  }

  /**
   * Requires that this part would write what the others write.
   *
   * @throws IOException it would not; the message names all that differs
   */
  void requireSame(ExportManifest agreed, ExportManifest mine) throws IOException {
    List<String> differences = new ArrayList<>();
    compare("", agreed, mine, differences);
    if (!differences.isEmpty()) {
      throw new IOException(
          "%s was begun with %s: all parts of an export must agree; start this one as the others, or choose another --out"
              .formatted(manifestFile, String.join(", ", differences)));
    }
  }

  /**
   * Removes what processes left that were killed while they wrote some of these shards. One that
   * still writes them fails by that: nothing here tells it from a dead one, which may have been on
   * another machine.
   */
  void removeLeftovers(Set<Path> shards) throws IOException {
    for (Path file : list()) {
      Optional<String> unfinished = AtomicFiles.unfinished(file);
      if (unfinished.isPresent()
          && (unfinished.get().equals(MANIFEST_FILE)
              || shards.contains(folder.resolve(unfinished.get())))
          && Files.deleteIfExists(file)) {
        log.info("removed {}, which another try left", file);
      }
    }
  }

  /** The JDK's messages name the temporary file, and often what is wrong by their class alone. */
  static IOException cannotWrite(Path file, IOException e) {
    String reason =
        e instanceof FileSystemException f
            ? e.getClass().getSimpleName() + (f.getReason() == null ? "" : ": " + f.getReason())
            : String.valueOf(e.getMessage());
    return new IOException("cannot write %s: %s".formatted(file, reason), e);
  }

  private Optional<ExportManifest> read() throws IOException {
    String json;
    try {
      json = new String(Files.readAllBytes(manifestFile), StandardCharsets.UTF_8);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    ExportManifest.Builder manifest = ExportManifest.newBuilder();
    try {
      // A newer format may have fields that this code does not know.
      JsonFormat.parser().ignoringUnknownFields().merge(json, manifest);
    } catch (InvalidProtocolBufferException e) {
      String found = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new IOException(manifestFile + " is not of an export: " + found, e);
    }
    if (manifest.getFormatVersion() != FORMAT_VERSION) {
      throw new IOException(
          "%s has format_version %s; this program reads %d: use the program that began the export"
              .formatted(
                  manifestFile,
                  Integer.toUnsignedString(manifest.getFormatVersion()),
                  FORMAT_VERSION));
    }
    return Optional.of(manifest.build());
  }

  private List<Path> list() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void compare(
      String prefix, Message agreed, Message mine, List<String> differences) {
    for (FieldDescriptor field : agreed.getDescriptorForType().getFields()) {
      Object theirs = agreed.getField(field);
      Object ours = mine.getField(field);
      String name = prefix + field.getName();
      if (theirs instanceof Message message) {
        compare(name + ".", message, (Message) ours, differences);
      } else if (!theirs.equals(ours)) {
        differences.add("%s %s, not %s".formatted(name, text(theirs), text(ours)));
      }
    }
  }

  /** All our long numbers are unsigned. */
  private static String text(Object value) {
    return value instanceof Long number ? Long.toUnsignedString(number) : value.toString();
  }
}
