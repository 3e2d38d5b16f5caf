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
 * PyTorch's settings for computation on CUDA, {@code at::globalContext()}. Neither DJL nor
 * TorchScript has access to them, so this class calls the C++ functions of the loaded library by
 * their symbols.
 *
 * <p>The settings apply to the whole process. They have no effect on the CPU.
 */
public final class TorchContext {

  /**
   * All settings.
   *
   * @param cudnnTf32 whether cuDNN may use TF32 for convolutions; PyTorch's default is true
   * @param cublasTf32 whether cuBLAS may use TF32 for matrix products; PyTorch's default is false
   * @param cudnnBenchmark whether cuDNN benchmarks its algorithms for each new shape and uses the
   *     fastest; the choice, and so the rounding, may differ between processes
   * @param deterministic whether operators must be deterministic, and fail if they cannot be
   */
  public record Settings(
      boolean cudnnTf32, boolean cublasTf32, boolean cudnnBenchmark, boolean deterministic) {

    /** The settings of a training run. */
    public static Settings of(Precision precision, boolean deterministic) {
      boolean tf32 = precision == Precision.TF32;
      return new Settings(tf32, tf32, !deterministic, deterministic);
    }
  }

  // Linux: RTLD_LAZY | RTLD_NOLOAD, which fails unless the library is loaded already.
  private static final int OPEN_LOADED = 1 | 4;

  private static final String CONTEXT = "_ZN2at13globalContextEv";

  private final NativeLibrary library;
  private final Pointer context;

  private TorchContext(NativeLibrary library) {
    this.library = library;
    context = (Pointer) library.getFunction(CONTEXT).invoke(Pointer.class, new Object[0]);
  }

  /**
   * The context of the library that DJL uses.
   *
   * @throws IOException if the library has no such symbol: it is another version of PyTorch
   */
  public static TorchContext get() throws IOException {
    Engine.getInstance(); // loads the library
    return of(
        Path.of(LibUtils.getLibtorchPath())
            .toAbsolutePath()
            .resolve(System.mapLibraryName("torch_cpu")));
  }

  /** The context of a library that is loaded already. */
  static TorchContext of(Path file) throws IOException {
    NativeLibrary library;
    try {
      library =
          NativeLibrary.getInstance(
              file.toString(), Map.of(Library.OPTION_OPEN_FLAGS, OPEN_LOADED));
    } catch (UnsatisfiedLinkError e) {
      // JNA's message lists every path that it searched.
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

  /** Applies all settings; returns the settings that are then in effect. */
  public Settings apply(Settings settings) throws IOException {
    set("_ZN2at7Context17setAllowTF32CuDNNEb", settings.cudnnTf32);
    set("_ZN2at7Context18setAllowTF32CuBLASEb", settings.cublasTf32);
    set("_ZN2at7Context17setBenchmarkCuDNNEb", settings.cudnnBenchmark);
    set("_ZN2at7Context21setDeterministicCuDNNEb", settings.deterministic);
    // Otherwise deterministic mode fills every new tensor, in case it is read before it is written.
    set("_ZN2at7Context39setDeterministicFillUninitializedMemoryEb", false);
    call("_ZN2at7Context26setDeterministicAlgorithmsEbb", settings.deterministic, false);
    return read();
  }

  /** Reads the current settings. */
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
    return (call(symbol) & 0xFF) != 0; // a C++ bool is one byte; the other bytes are undefined
  }

  private int call(String symbol, boolean... arguments) throws IOException {
    Object[] all = new Object[arguments.length + 1];
    all[0] = context;
    for (int i = 0; i < arguments.length; i++) {
      all[i + 1] = arguments[i] ? 1 : 0; // JNA would pass true as -1, which is no C++ bool
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
