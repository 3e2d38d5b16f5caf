package dev.dcgan.model;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Keys in PEM files (RFC 7468). */
final class PemFile {

  private static final int MAX_BYTES = 1 << 20;
  private static final int LINE = 64;

  private PemFile() {}

  /**
   * Reads the blocks of one kind.
   *
   * @param label {@code PUBLIC KEY} or {@code PRIVATE KEY}
   * @throws IOException if the file cannot be read or a block is not Base64; one line with its name
   */
  static List<byte[]> read(Path file, String label) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(file + ": no such file");
    }
    return parse(file, ModelBundle.readBytes(file, MAX_BYTES), label);
  }

  /** As {@link #read}, of the content of a file. */
  static List<byte[]> parse(Path file, byte[] content, String label) throws IOException {
    String text = new String(content, StandardCharsets.ISO_8859_1);
    Matcher blocks =
        Pattern.compile("-----BEGIN %1$s-----([^-]*)-----END %1$s-----".formatted(label))
            .matcher(text);
    List<byte[]> found = new ArrayList<>();
    while (blocks.find()) {
      try {
        found.add(Base64.getMimeDecoder().decode(blocks.group(1)));
      } catch (IllegalArgumentException e) {
        throw new IOException(
            "%s: block %d of '%s' is not Base64".formatted(file, found.size() + 1, label), e);
      }
    }
    return found;
  }

  static void append(Path file, String label, byte[] encoded) throws IOException {
    String lines = Base64.getMimeEncoder(LINE, new byte[] {'\n'}).encodeToString(encoded);
    Files.writeString(
        file,
        "-----BEGIN %1$s-----\n%2$s\n-----END %1$s-----\n".formatted(label, lines),
        StandardOpenOption.APPEND);
  }
}
