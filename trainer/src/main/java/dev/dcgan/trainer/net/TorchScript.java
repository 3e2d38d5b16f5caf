package dev.dcgan.trainer.net;

import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.JniUtils;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Functions in TorchScript: source text that PyTorch compiles when it loads it, for what DJL has no
 * operator for, or only slower ones.
 *
 * <p>PyTorch loads archives, so they are wrapped up as one. The format is a zip of stored entries
 * below one folder: {@code version}, {@code code/__torch__.py}, {@code data.pkl} (the module
 * object, a Python pickle) and {@code constants.pkl} (here none). Source: PyTorch,
 * torch/csrc/jit/docs/serialization.md.
 */
public final class TorchScript {

  private static final String FORMAT_VERSION = "10\n";
  private static final String EMPTY_TUPLE = "\u0080\u0002).";

  /** Pickle, protocol 2: {@code __torch__.Function} built from the state {"training": True}. */
  private static final String MODULE =
      "\u0080\u0002" // PROTO 2
          + "c__torch__\nFunction\n" // GLOBAL
          + ")\u0081" // EMPTY_TUPLE NEWOBJ
          + "}(" // EMPTY_DICT MARK
          + "X\b\0\0\0training\u0088" // BINUNICODE, 8 bytes; NEWTRUE
          + "ub."; // SETITEMS BUILD STOP

  private TorchScript() {}

  /**
   * Compiles a function from tensors to a tensor.
   *
   * @param manager whose life the function shares
   * @param arguments their names
   * @param body statements, one a line, the last a return
   */
  public static PtSymbolBlock load(NDManager manager, List<String> arguments, String body) {
    String source =
        """
        class Function(Module):
          __parameters__ = []
          __buffers__ = []
          training : bool
          def forward(self: __torch__.Function, %s) -> Tensor:
        %s"""
            .formatted(
                arguments.stream().map(name -> name + ": Tensor").collect(Collectors.joining(", ")),
                body.indent(4));
    try {
      return JniUtils.loadModule(
          (PtNDManager) manager, new ByteArrayInputStream(archive(source)), false, false);
    } catch (IOException e) {
      throw new UncheckedIOException("reading from memory", e);
    }
  }

  /** The archive of one module, without parameters, of class Function. */
  private static byte[] archive(String source) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.setMethod(ZipOutputStream.STORED);
      put(zip, "data.pkl", MODULE);
      put(zip, "code/__torch__.py", source);
      put(zip, "constants.pkl", EMPTY_TUPLE);
      put(zip, "version", FORMAT_VERSION);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return bytes.toByteArray();
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
