package dev.dcgan.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
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
 * Compiles and runs TorchScript functions, for operators that DJL does not have or that are slower
 * in DJL.
 *
 * <p>PyTorch loads TorchScript from archives only. An archive is a zip of stored entries below one
 * folder: {@code version}, {@code code/__torch__.py} (the source), {@code data.pkl} (the module
 * object, a Python pickle) and {@code constants.pkl} (empty here). Source: PyTorch,
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
   * A function of a script. It returns a tensor, and calls other functions of the script as {@code
   * (self).name(...)}.
   *
   * @param name the name; {@link #run} calls {@code forward}
   * @param arguments the arguments with their types: {@code x: Tensor}, {@code weights:
   *     List[Tensor]}
   * @param body the statements, one per line; the last one returns
   */
  public record Function(String name, List<String> arguments, String body) {

    public Function {
      arguments = List.copyOf(arguments);
    }

    /** A function whose arguments are all tensors. */
    public static Function ofTensors(String name, List<String> arguments, String body) {
      return new Function(
          name, arguments.stream().map(argument -> argument + ": Tensor").toList(), body);
    }

    /** The entry point, whose arguments are lists of tensors. */
    public static Function forward(List<String> lists, String body) {
      return new Function(
          "forward", lists.stream().map(list -> list + ": List[Tensor]").toList(), body);
    }

    private String source() {
      return """
        def %s(self: __torch__.Function, %s) -> Tensor:
      %s"""
          .formatted(name, String.join(", ", arguments), body.indent(4));
    }
  }

  /**
   * Compiles a script.
   *
   * @param manager the manager that the script belongs to
   * @param functions the functions, one of them {@code forward}
   */
  public static PtSymbolBlock load(NDManager manager, List<Function> functions) {
    String source =
        """
        class Function(Module):
          __parameters__ = []
          __buffers__ = []
          training : bool
        """
            + functions.stream().map(Function::source).collect(Collectors.joining());
    try {
      return JniUtils.loadModule(
          (PtNDManager) manager, new ByteArrayInputStream(archive(source)), false, false);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read from memory", e);
    }
  }

  /**
   * Runs a script's {@code forward}. Autograd records only operations on arrays that the script
   * itself marks as requiring gradients.
   *
   * @param lists the arguments, none of them empty
   * @return the result, in the manager of the first list's first array
   */
  public static NDArray run(PtSymbolBlock script, NDList... lists) {
    NDList arguments = new NDList();
    for (int i = 0; i < lists.length; i++) {
      // The engine groups arrays of the same name with brackets to a list argument.
      String name = i + "[]";
      lists[i].forEach(array -> array.setName(name));
      arguments.addAll(lists[i]);
    }
    JniUtils.setGradMode(true); // of this thread
    try {
      // With false the engine would disable autograd.
      return IValueUtils.forward(script, arguments, true).singletonOrThrow();
    } finally {
      JniUtils.setGradMode(false);
    }
  }

  /** An archive of one module of class Function without parameters. */
  private static byte[] archive(String source) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.setMethod(ZipOutputStream.STORED);
      put(zip, "data.pkl", MODULE);
      put(zip, "code/__torch__.py", source);
      put(zip, "constants.pkl", EMPTY_TUPLE);
      put(zip, "version", FORMAT_VERSION);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write to memory", e);
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
