package dev.dcgan.trainer.net;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes TorchScript archives: modules as source text that PyTorch compiles when it loads them.
 *
 * <p>The format is a zip of stored entries below one folder: {@code version}, {@code
 * code/__torch__.py}, {@code data.pkl} (the module object, a Python pickle) and {@code
 * constants.pkl} (here none). Source: PyTorch, torch/csrc/jit/docs/serialization.md.
 */
final class TorchScript {

  private static final String FORMAT_VERSION = "10\n";
  private static final String EMPTY_TUPLE = "\u0080\u0002).";

  private TorchScript() {}

  /**
   * The archive of one module without parameters.
   *
   * @param source the class in TorchScript's Python
   * @param className the class that the source defines, with the sole attribute {@code training}
   */
  static byte[] archive(String source, String className) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.setMethod(ZipOutputStream.STORED);
      put(zip, "data.pkl", module(className));
      put(zip, "code/__torch__.py", source);
      put(zip, "constants.pkl", EMPTY_TUPLE);
      put(zip, "version", FORMAT_VERSION);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return bytes.toByteArray();
  }

  /** Pickle, protocol 2: {@code __torch__.<className>} built from the state {"training": True}. */
  private static String module(String className) {
    return "\u0080\u0002" // PROTO 2
        + "c__torch__\n"
        + className
        + "\n" // GLOBAL
        + ")\u0081" // EMPTY_TUPLE NEWOBJ
        + "}(" // EMPTY_DICT MARK
        + "X\b\0\0\0training\u0088" // BINUNICODE, 8 bytes; NEWTRUE
        + "ub."; // SETITEMS BUILD STOP
  }

  private static void put(ZipOutputStream zip, String name, String content) throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.ISO_8859_1);
    CRC32 crc = new CRC32();
    crc.update(bytes);
    ZipEntry entry = new ZipEntry("module/" + name);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }
}
