package dev.dcgan.trainer.torch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.util.Utils;
import ai.djl.util.cuda.CudaUtils;
import dev.dcgan.trainer.torch.NativeFailureException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The device that networks are trained on: the CPU or a CUDA device. */
public final class TrainingDevice {

  /** Computes something on a CUDA device; throws the engine's exception if that fails. */
  @FunctionalInterface
  interface Probe {
    void run(Device cuda);
  }

  /**
   * The machine that a device is selected on.
   *
   * @param probe tests a CUDA device
   * @param hasDriver whether NVIDIA's kernel driver is installed
   * @param worked the devices that worked in this process; thread-safe
   */
  record Machine(Probe probe, boolean hasDriver, Set<Device> worked) {

    Machine(Probe probe, boolean hasDriver) {
      this(probe, hasDriver, ConcurrentHashMap.newKeySet());
    }
  }

  private static final Logger log = LoggerFactory.getLogger(TrainingDevice.class);
  private static final String AUTO = "auto";
  private static final String CPU = "cpu";
  private static final String CUDA_PREFIX = "cuda:";
  private static final Machine MACHINE =
      new Machine(TrainingDevice::compute, Files.exists(Path.of("/proc/driver/nvidia/version")));

  /** The arguments of {@link #select}, for messages. */
  public static final String CHOICES = "auto, cpu, cuda or cuda:<number>";

  private final Device device;

  private TrainingDevice(Device device) {
    this.device = device;
  }

  /** Whether {@link #select} accepts the choice, if the device exists. */
  public static boolean isChoice(String choice) {
    return choice.matches("auto|cpu|cuda(:[0-9]{1,2})?");
  }

  /** Whether the choice is {@code auto}. */
  public static boolean isAuto(String choice) {
    return choice.equals(AUTO);
  }

  /** The name of the CUDA device that {@code auto} or a choice of CUDA refers to. */
  public static String cudaDevice(String choice) {
    return choice.startsWith(CUDA_PREFIX) ? choice : CUDA_PREFIX + 0;
  }

  /**
   * Starts the engine and selects the device. If {@code auto} finds no CUDA device, the reason is
   * logged.
   *
   * @param choice {@code cpu}, {@code cuda}, {@code cuda:<number>}, or {@code auto}: CUDA if it
   *     works, otherwise the CPU
   * @throws NativeFailureException if the CUDA device worked earlier in this process and fails now
   * @throws IOException if CUDA was requested and the device does not work
   */
  public static TrainingDevice select(String choice) throws IOException {
    return select(choice, "");
  }

  /**
   * As {@link #select(String)}, for a run that another process may have started.
   *
   * @param choice as above; {@code auto} selects the device that the run was trained on
   * @param trainedOn the name of the device that the run was trained on; empty for a new run
   * @throws NativeFailureException also if the run was trained on a CUDA device that does not work
   *     now: the run has to wait for the device
   */
  public static TrainingDevice select(String choice, String trainedOn) throws IOException {
    startEngine();
    TrainingDevice device = select(choice, trainedOn, MACHINE);
    if (device.isGpu()) {
      // PyTorch's default is TF32 for convolutions. A training run sets its own precision later.
      var unused = TorchContext.get().apply(TorchContext.Settings.of(Precision.FP32, false));
    }
    return device;
  }

  static TrainingDevice select(String choice, String trainedOn, Machine machine)
      throws IOException {
    String requested = isAuto(choice) && !trainedOn.isEmpty() ? trainedOn : choice;
    if (requested.equals(CPU)) {
      return new TrainingDevice(Device.cpu());
    }
    Device cuda =
        Device.gpu(Integer.parseInt(cudaDevice(requested).substring(CUDA_PREFIX.length())));
    try {
      machine.probe().run(cuda);
      machine.worked().add(cuda);
      return new TrainingDevice(cuda);
    } catch (EngineException e) {
      CudaProblem problem = CudaProblem.of(e, cuda);
      requireUnused(cuda, trainedOn, machine, problem);
      if (!isAuto(requested)) {
        throw new IOException(
            "cannot use --device %s: %s; %s, or use --device cpu"
                .formatted(requested, problem.found(), problem.remedy()),
            e);
      }
      logFallback(problem, machine);
      return new TrainingDevice(Device.cpu());
    }
  }

  private static void requireUnused(
      Device cuda, String trainedOn, Machine machine, CudaProblem problem)
      throws NativeFailureException {
    if (machine.worked().contains(cuda)) {
      throw new NativeFailureException(
          Kind.DEVICE_LOST,
          "cannot use %s, which worked earlier: %s".formatted(name(cuda), problem.found()));
    }
    if (trainedOn.equals(name(cuda))) {
      throw new NativeFailureException(
          Kind.DEVICE_LOST,
          "cannot use %s, which the run was trained on: %s; %s, or move the run with --device cpu"
              .formatted(trainedOn, problem.found(), problem.remedy()));
    }
  }

  private static void logFallback(CudaProblem problem, Machine machine) {
    String message = "--device auto: using the CPU, no CUDA device works: {}; {}";
    if (problem.cpuBuild() && !machine.hasDriver()) {
      log.info(message, problem.found(), problem.remedy() + " on a machine with a GPU");
    } else {
      log.warn(message, problem.found(), problem.remedy() + ", or use --device cpu");
    }
  }

  /** Loads the native library, which may fail; all other calls find it loaded. */
  private static void startEngine() throws IOException {
    try {
      Engine.getInstance();
    } catch (EngineException | LinkageError e) {
      throw new IOException(
          "cannot load PyTorch's native library: %s; see GPU machines in the README"
              .formatted(loadProblem(e, Utils.getEnvOrSystemProperty("PYTORCH_LIBRARY_PATH"))),
          e);
    }
  }

  static String loadProblem(Throwable failure, @Nullable String path) {
    Throwable cause = failure;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String message = String.valueOf(cause.getMessage());
    if (!message.contains("Offline mode")) {
      return NativeFailureException.detail(message);
    }
    // DJL tries to download a library that it does not find, which offline mode forbids.
    return path == null
        ? "this build does not include it, and PYTORCH_LIBRARY_PATH is not set"
        : "PYTORCH_LIBRARY_PATH=%s has no libtorch".formatted(path);
  }

  /** Tries a computation: a device that is listed may still lack machine code in the library. */
  private static void compute(Device cuda) {
    try (NDManager manager = NDManager.newBaseManager(cuda);
        NDArray two = manager.create(new float[] {1, 1}).sum()) {
      float value = HostCopies.floats(two)[0];
      if (!two.getDevice().isGpu() || value != 2) {
        throw new EngineException("1 + 1 is %s on %s".formatted(value, two.getDevice()));
      }
    }
  }

  /** The device as DJL's type. */
  public Device device() {
    return device;
  }

  /** Whether it is a CUDA device. */
  public boolean isGpu() {
    return device.isGpu();
  }

  private static String name(Device device) {
    return device.isGpu() ? CUDA_PREFIX + device.getDeviceId() : CPU;
  }

  /** {@code cpu} or {@code cuda:<number>}. */
  /** The memory of a GPU in bytes; empty if it cannot be determined. */
  public OptionalLong gpuMemory() {
    try {
      return OptionalLong.of(CudaUtils.getGpuMemory(device).getMax());
    } catch (EngineException | IllegalArgumentException | IllegalStateException e) {
      log.warn("cannot determine the memory of {}: {}", this, e.getMessage());
      return OptionalLong.empty();
    }
  }

  @Override
  public String toString() {
    return name(device);
  }
}
