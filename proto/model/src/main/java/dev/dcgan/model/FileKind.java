package dev.dcgan.model;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;

/** Recognizes files that are often copied in place of an ONNX model. */
final class FileKind {

  private static final int HEAD = 64;

  // gzip, xz, bzip2, Zstandard and 7-Zip.
  private static final Set<String> COMPRESSED =
      Set.of("\u001f\u008b", "\u00fd7zXZ", "BZh", "(\u00b5/\u00fd", "7z\u00bc\u00af");

  private FileKind() {}

  /**
   * Requires that a model file is not recognizably something else.
   *
   * @throws InvalidModelException if it is; the message says what it is and what to do
   */
  static void requireModel(Path file) throws IOException {
    byte[] head;
    try (InputStream in = Files.newInputStream(file)) {
      head = in.readNBytes(HEAD);
    }
    String text = new String(head, StandardCharsets.ISO_8859_1);
    String lower = text.strip().toLowerCase(Locale.ROOT);
    if (head.length == 0) {
      refuse(file, "is empty", "copy the file again");
    } else if (text.startsWith("version https://git-lfs")
        || text.startsWith("version https://hawser")) {
      refuse(file, "is a Git LFS pointer", "run 'git lfs pull' and copy the file again");
    } else if (lower.startsWith("<!doctype") || lower.startsWith("<html")) {
      refuse(file, "is an HTML page", "download the file itself");
    } else if (text.startsWith("PK\u0003\u0004")) {
      refuse(
          file,
          "is a zip archive, such as a PyTorch checkpoint",
          "unpack it, or export the generator with torch.onnx.export");
    } else if (COMPRESSED.stream().anyMatch(text::startsWith)) {
      refuse(file, "is compressed", "unpack it");
    } else if (text.startsWith("\u0080") && head.length > 1 && head[1] <= 5) {
      refuse(file, "is a Python pickle", "export the generator with torch.onnx.export");
    } else if (text.startsWith("\u0089HDF")) {
      refuse(file, "is an HDF5 file", "convert the generator with tf2onnx");
    } else if (text.startsWith("TFL3", 4)) {
      refuse(file, "is a TensorFlow Lite file", "convert the generator with tf2onnx");
    } else if (text.startsWith("\0\0{\"", 6)) {
      refuse(file, "is a safetensors file", "export the generator with torch.onnx.export");
    } else if (text.matches("(?s)[ -~]*\\R[\\s -~]*") || lower.startsWith("{\"")) {
      // Also the pointer files of storage tools. A model has control characters at once.
      refuse(file, "is a text file", "download the file itself");
    }
  }

  private static void refuse(Path file, String found, String remedy) throws InvalidModelException {
    throw new InvalidModelException(
        "%s %s; expected an ONNX model: %s".formatted(file, found, remedy));
  }
}
