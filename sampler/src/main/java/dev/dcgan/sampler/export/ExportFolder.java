package dev.dcgan.sampler.export;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.JsonLimits;
import dev.dcgan.v1.ExportManifest;
import java.io.IOException;
import java.io.InputStream;
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
 * The output folder of an export: {@code export.json}, which records what all parts agree on, and
 * the shards.
 *
 * <p>Any number of processes may write into it concurrently, one part each. The first one creates
 * {@code export.json}, which never changes. A reader sees a whole shard or none, even if two
 * processes write the same part; in that case the later one removes the temporary file of the
 * other, which fails.
 */
final class ExportFolder {

  /** The newest format of {@code export.json} that this code writes and reads. */
  static final int FORMAT_VERSION = 1;

  private static final Logger log = LoggerFactory.getLogger(ExportFolder.class);
  private static final String MANIFEST_FILE = "export.json";
  private static final int MAX_MANIFEST_BYTES = 1 << 20;

  private final Path folder;
  private final Path manifestFile;

  /** Creates the folder if it does not exist. */
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
   * What the parts have agreed on; empty: this part is the first.
   *
   * @throws IOException it cannot be read, or it is missing though there are shards
   */
  Optional<ExportManifest> agreed() throws IOException {
    Optional<ExportManifest> agreed = read();
    if (agreed.isPresent()) {
      return agreed;
    }
    for (Path file : list()) {
      if (file.getFileName().toString().endsWith(".tar")) {
        agreed = read(); // Read again: it is created before the first shard, which is there now.
        if (agreed.isEmpty()) {
          throw new IOException(
              "cannot export to %s: %s exists but no %s; choose an empty --out"
                  .formatted(folder, file.getFileName(), MANIFEST_FILE));
        }
        return agreed;
      }
    }
    return agreed;
  }

  /** Creates {@code export.json} unless it exists; returns its content. */
  ExportManifest agree(ExportManifest mine) throws IOException {
    String json = JsonFormat.printer().alwaysPrintFieldsWithNoPresence().print(mine) + "\n";
    try {
      if (AtomicFiles.create(manifestFile, StandardCharsets.UTF_8.encode(json))) {
        return mine;
      }
    } catch (IOException e) {
      throw cannotWrite(manifestFile, e);
    }
    return read()
        .orElseThrow(
            () ->
                new IOException(
                    "cannot read %s: it was deleted; start again".formatted(manifestFile)));
  }

  /**
   * Requires that this part writes the same export as the others.
   *
   * @throws IOException it does not; the message names all differences
   */
  void requireSame(ExportManifest agreed, ExportManifest mine) throws IOException {
    List<String> differences = new ArrayList<>();
    compare("", agreed, mine, differences);
    if (!differences.isEmpty()) {
      throw new IOException(
          "cannot join the export of %s: it was begun with %s; use the same options for all parts, or choose another --out"
              .formatted(manifestFile, String.join(", ", differences)));
    }
  }

  /**
   * Removes temporary files of processes that were killed while they wrote these shards. A process
   * that still writes them fails: it cannot be told from a killed one, which may have run on
   * another machine.
   */
  void removeLeftovers(Set<Path> shards) throws IOException {
    for (Path file : list()) {
      Optional<String> unfinished = AtomicFiles.unfinished(file);
      if (unfinished.isPresent()
          && (unfinished.get().equals(MANIFEST_FILE)
              || shards.contains(folder.resolve(unfinished.get())))
          && Files.deleteIfExists(file)) {
        log.info("removed {}, a leftover of an earlier attempt", file);
      }
    }
  }

  /** Names the file itself: the JDK's messages name the temporary one, often without a reason. */
  static IOException cannotWrite(Path file, IOException e) {
    String reason =
        e instanceof FileSystemException f
            ? e.getClass().getSimpleName() + (f.getReason() == null ? "" : ": " + f.getReason())
            : String.valueOf(e.getMessage());
    return new IOException("cannot write %s: %s".formatted(file, reason), e);
  }

  private Optional<ExportManifest> read() throws IOException {
    byte[] json;
    try (InputStream in = Files.newInputStream(manifestFile)) {
      json = in.readNBytes(MAX_MANIFEST_BYTES + 1);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    return Optional.of(parse(manifestFile, json));
  }

  /**
   * Parses an {@code export.json}.
   *
   * @throws IOException it is none, or of another format
   */
  static ExportManifest parse(Path file, byte[] json) throws IOException {
    if (json.length > MAX_MANIFEST_BYTES) {
      throw new IOException(
          "cannot read %s: it has more than %d bytes; expected the manifest of an export"
              .formatted(file, MAX_MANIFEST_BYTES));
    }
    ExportManifest.Builder manifest = ExportManifest.newBuilder();
    try {
      Optional<String> problem = JsonLimits.problem(json);
      if (problem.isPresent()) {
        throw new InvalidProtocolBufferException("it has " + problem.get());
      }
      // A newer format may have fields that this code does not know.
      JsonFormat.parser()
          .ignoringUnknownFields()
          .merge(new String(json, StandardCharsets.UTF_8), manifest);
    } catch (InvalidProtocolBufferException e) {
      String found = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new IOException(
          "cannot read %s: it is not the manifest of an export: %s".formatted(file, found), e);
    }
    if (manifest.getFormatVersion() != FORMAT_VERSION) {
      throw new IOException(
          "cannot read %s: format_version %s; expected %d: use the program that began the export"
              .formatted(
                  file, Integer.toUnsignedString(manifest.getFormatVersion()), FORMAT_VERSION));
    }
    return manifest.build();
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

  /** All 64-bit fields are unsigned. */
  private static String text(Object value) {
    return value instanceof Long number ? Long.toUnsignedString(number) : value.toString();
  }
}
