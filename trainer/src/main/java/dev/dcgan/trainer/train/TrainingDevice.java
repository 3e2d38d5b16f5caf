package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.net.HostCopies;
import java.io.IOException;

/** Where the networks live and learn: the CPU, or a CUDA device. */
public final class TrainingDevice {

  private static final String CUDA_N = "cuda:";

  /** For messages: what {@link #select} takes. */
  public static final String CHOICES = "auto, cpu, cuda or cuda:<number>";

  private final Device device;

  private TrainingDevice(Device device) {
    this.device = device;
  }

  /** Whether {@link #select} takes it, if the device is there. */
  public static boolean isChoice(String choice) {
    return choice.matches("auto|cpu|cuda(:[0-9]{1,2})?");
  }

  /**
   * Starts the engine and chooses the device.
   *
   * @param choice {@code cpu}, {@code cuda}, {@code cuda:<number>}, or {@code auto}: CUDA where it
   *     works, else the CPU
   * @throws IOException {@code cuda} where CUDA, or the device of that number, does not work
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
    Device cuda =
        choice.startsWith(CUDA_N)
            ? Device.gpu(Integer.parseInt(choice.substring(CUDA_N.length())))
            : Device.gpu();
    if (cudaWorks(engine, cuda)) {
      return new TrainingDevice(cuda);
    }
    if (choice.equals("auto")) {
      return new TrainingDevice(Device.cpu());
    }
    throw new IOException(
        "--device %s: PyTorch counts %d CUDA devices; this one does not work, or the library is the CPU's; use --device cpu,"
                .formatted(choice, engine.getGpuCount())
            + " or see the README on GPU machines");
  }

  /** By trying: the count of devices says nothing about whether the loaded library can use them. */
  private static boolean cudaWorks(Engine engine, Device cuda) {
    if (engine.getGpuCount() <= cuda.getDeviceId()) {
      return false;
    }
    try (NDManager manager = NDManager.newBaseManager(cuda);
        NDArray two = manager.create(new float[] {1, 1}).sum()) {
      return two.getDevice().isGpu() && HostCopies.floats(two)[0] == 2;
    } catch (EngineException | IllegalArgumentException | UnsupportedOperationException e) {
      return false;
    }
  }

  /** The device, as the engine names it. */
  public Device device() {
    return device;
  }

  /** Whether it is a CUDA device. */
  public boolean isGpu() {
    return device.isGpu();
  }

  /** {@code cpu} or {@code cuda:<number>}. */
  @Override
  public String toString() {
    return device.isGpu() ? CUDA_N + device.getDeviceId() : "cpu";
  }
}
