package dev.dcgan.trainer.torch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.LibUtils;
import com.sun.jna.Library;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * PyTorch's settings of how CUDA computes, {@code at::globalContext()}, which neither DJL nor
 * TorchScript offers: C++ functions of the library that DJL has loaded, called by their symbols.
 *
 * <p>The settings are the process's, not a network's. They change nothing on the CPU.
 */
public final class TorchContext {

  /**
   * All settings.
   *
   * @param convolutionTf32 whether cuDNN may round factors to TF32; PyTorch's default is yes
   * @param productTf32 the same of cuBLAS; PyTorch's default is no
   * @param autotuning whether cuDNN tries its algorithms out on each new shape, and keeps the
   *     fastest; which one that is may differ from process to process, and so does the rounding
   * @param deterministic whether every operator must give the same result each time, and fail where
   *     it cannot
   */
  public record Settings(
      boolean convolutionTf32, boolean productTf32, boolean autotuning, boolean deterministic) {

    /** Those of a run. */
    public static Settings of(Precision precision, boolean deterministic) {
      boolean tf32 = precision == Precision.TF32;
      return new Settings(tf32, tf32, !deterministic, deterministic);
    }
  }

  // Linux: RTLD_LAZY | RTLD_NOLOAD, the library that is loaded already or none.
  private static final int ALREADY_LOADED = 1 | 4;

  private static final String CONTEXT = "_ZN2at13globalContextEv";

  private final NativeLibrary library;
  private final Pointer context;

  private TorchContext(NativeLibrary library) {
    this.library = library;
    context = (Pointer) library.getFunction(CONTEXT).invoke(Pointer.class, new Object[0]);
  }

  /**
   * That of the library that DJL uses.
   *
   * @throws IOException the library lacks a symbol: it is another version of PyTorch
   */
  public static TorchContext get() throws IOException {
    Engine.getInstance(); // Loads the library.
    return of(
        Path.of(LibUtils.getLibtorchPath())
            .toAbsolutePath()
            .resolve(System.mapLibraryName("torch_cpu")));
  }

  /** That of a library that is loaded already. */
  static TorchContext of(Path file) throws IOException {
    NativeLibrary library;
    try {
      library =
          NativeLibrary.getInstance(
              file.toString(), Map.of(Library.OPTION_OPEN_FLAGS, ALREADY_LOADED));
    } catch (UnsatisfiedLinkError e) {
      // JNA's own message names every place that it looked at.
      throw new IOException(
          "cannot set PyTorch's precision: %s is not loaded; expected the native libraries of PyTorch 2.7.1"
              .formatted(file),
          e);
    }
    try {
      return new TorchContext(library);
    } catch (UnsatisfiedLinkError e) {
      throw missing(CONTEXT, file.toString(), e);
    }
  }

  /** Changes every setting; returns what they are then, as read back. */
  public Settings apply(Settings settings) throws IOException {
    set("_ZN2at7Context17setAllowTF32CuDNNEb", settings.convolutionTf32);
    set("_ZN2at7Context18setAllowTF32CuBLASEb", settings.productTf32);
    set("_ZN2at7Context17setBenchmarkCuDNNEb", settings.autotuning);
    set("_ZN2at7Context21setDeterministicCuDNNEb", settings.deterministic);
    // Without it every new tensor would be filled first, lest a program read it unwritten.
    set("_ZN2at7Context39setDeterministicFillUninitializedMemoryEb", false);
    call("_ZN2at7Context26setDeterministicAlgorithmsEbb", settings.deterministic, false);
    return read();
  }

  /** The settings now. */
  Settings read() throws IOException {
    return new Settings(
        is("_ZNK2at7Context14allowTF32CuDNNEv"),
        is("_ZNK2at7Context15allowTF32CuBLASEv"),
        is("_ZNK2at7Context14benchmarkCuDNNEv"),
        is("_ZNK2at7Context18deterministicCuDNNEv")
            && is("_ZNK2at7Context23deterministicAlgorithmsEv"));
  }

  private void set(String symbol, boolean value) throws IOException {
    call(symbol, value);
  }

  private boolean is(String symbol) throws IOException {
    return (call(symbol) & 0xFF) != 0; // A C++ bool is one byte; what is above it is undefined.
  }

  private int call(String symbol, boolean... arguments) throws IOException {
    Object[] all = new Object[arguments.length + 1];
    all[0] = context;
    for (int i = 0; i < arguments.length; i++) {
      all[i + 1] = arguments[i] ? 1 : 0; // JNA's own true would be -1, which is no C++ bool.
    }
    try {
      return library.getFunction(symbol).invokeInt(all);
    } catch (UnsatisfiedLinkError e) {
      throw missing(symbol, library.getName(), e);
    }
  }

  private static IOException missing(String symbol, String file, UnsatisfiedLinkError e) {
    return new IOException(
        "cannot set PyTorch's precision: %s has no symbol %s; expected the native libraries of PyTorch 2.7.1"
            .formatted(file, symbol),
        e);
  }
}
