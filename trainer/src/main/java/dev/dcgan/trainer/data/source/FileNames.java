package dev.dcgan.trainer.data.source;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;

/** Decodes the names of files: as UTF-8 if they are valid UTF-8, whatever the locale is. */
final class FileNames {

  private static final char REPLACEMENT = '\uFFFD';

  private FileNames() {}

  /**
   * The name of a file on disk. The JDK decodes names by the locale and replaces what it cannot
   * decode; the file's URI still has the bytes.
   */
  static String of(Path file) {
    String name = file.getFileName().toString();
    if (name.indexOf(REPLACEMENT) < 0) {
      return name;
    }
    String path = file.toUri().getRawPath();
    String stripped = path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    return decode(bytes(stripped.substring(stripped.lastIndexOf('/') + 1)));
  }

  /** The bytes of a URI's path, which is ASCII. */
  private static byte[] bytes(String escaped) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = 0; i < escaped.length(); i++) {
      if (escaped.charAt(i) == '%') {
        bytes.write(Integer.parseInt(escaped, i + 1, i + 3, 16));
        i += 2;
      } else {
        bytes.write(escaped.charAt(i));
      }
    }
    return bytes.toByteArray();
  }

  /** Decodes UTF-8, and everything else as Latin-1: different bytes that are not UTF-8 differ. */
  static String decode(byte[] name) {
    return decode(name, StandardCharsets.ISO_8859_1);
  }

  /** As above, with another charset for what is not UTF-8. */
  static String decode(byte[] name, Charset fallback) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(name)).toString();
    } catch (CharacterCodingException e) {
      return new String(name, fallback);
    }
  }

  /** The relative path of an archive's entry: some programs write {@code ./} or {@code /}. */
  static String normalize(String entry) {
    StringBuilder name = new StringBuilder();
    for (String part : entry.split("/", -1)) {
      if (!part.isEmpty() && !part.equals(".")) {
        name.append(name.isEmpty() ? "" : "/").append(part);
      }
    }
    return name.toString();
  }

  /** The name, or {@code name (2).png} and so on if it is taken; the result is taken then. */
  static String unique(String name, Set<String> taken) {
    int dot = name.lastIndexOf('.');
    int end = dot > name.lastIndexOf('/') ? dot : name.length();
    String result = name;
    for (int i = 2; !taken.add(result); i++) {
      result = "%s (%d)%s".formatted(name.substring(0, end), i, name.substring(end));
    }
    return result;
  }
}
