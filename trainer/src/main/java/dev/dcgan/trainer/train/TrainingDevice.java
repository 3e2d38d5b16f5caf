package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;

/** Where the networks live and learn: the CPU, or the first CUDA device. */
public final class TrainingDevice {

  private final Device device;

  private TrainingDevice(Device device) {
    this.device = device;
  }

  /**
   * Starts the engine and chooses the device.
   *
   * @param choice {@code cpu}, {@code cuda}, or {@code auto}: CUDA where it works, else the CPU
   * @throws IOException {@code cuda} where CUDA does not work
   */
  public static TrainingDevice select(String choice) throws IOException {
    try {
      Engine engine = Engine.getInstance(); // Loads the library; no other call below does.
      return trySelect(engine, choice);
    } catch (EngineException | UnsatisfiedLinkError | ExceptionInInitializerError e) {
      throw new IOException(
          "PyTorch's native library does not load (%s); on a GPU machine set PYTORCH_LIBRARY_PATH,"
                  .formatted(e.getMessage())
              + " PYTORCH_VERSION and PYTORCH_FLAVOR, elsewhere use the build without the profile cuda",
          e);
    }
  }

  private static TrainingDevice trySelect(Engine engine, String choice) throws IOException {
    if (choice.equals("cpu")) {
      return new TrainingDevice(Device.cpu());
    }
    if (cudaWorks(engine)) {
      return new TrainingDevice(Device.gpu());
    }
    if (choice.equals("cuda")) {
      throw new IOException(
          "--device cuda: PyTorch finds no CUDA device, or its library is the CPU's; use --device cpu,"
              + " or see the README on GPU machines");
    }
    return new TrainingDevice(Device.cpu());
  }

  /** By trying: the count of devices says nothing about whether the loaded library can use them. */
  private static boolean cudaWorks(Engine engine) {
    if (engine.getGpuCount() == 0) {
      return false;
    }
    try (NDManager manager = NDManager.newBaseManager(Device.gpu());
        NDArray two = manager.create(new float[] {1, 1}).sum()) {
      return two.getDevice().isGpu() && two.getFloat() == 2;
    } catch (EngineException | IllegalArgumentException | UnsupportedOperationException e) {
      return false;
    }
  }

  /** The device, as the engine names it. */
  public Device device() {
    return device;
  }

  /** {@code cpu} or {@code cuda}. */
  @Override
  public String toString() {
    return device.isGpu() ? "cuda" : "cpu";
  }
}
