package dev.dcgan.trainer.torch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.util.Utils;
import dev.dcgan.trainer.torch.NativeFailureException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Where the networks live and learn: the CPU, or a CUDA device. */
public final class TrainingDevice {

  /** Computes something on a CUDA device; throws what PyTorch says where that fails. */
  @FunctionalInterface
  interface Probe {
    void run(Device cuda);
  }

  /**
   * What devices are chosen from.
   *
   * @param hasDriver whether NVIDIA's kernel driver is there
   * @param worked devices that worked in this process; thread-safe
   */
  record Machine(Probe probe, boolean hasDriver, Set<Device> worked) {

    Machine(Probe probe, boolean hasDriver) {
      this(probe, hasDriver, ConcurrentHashMap.newKeySet());
    }
  }

  private static final Logger log = LoggerFactory.getLogger("train");
  private static final String AUTO = "auto";
  private static final String CPU = "cpu";
  private static final String CUDA_N = "cuda:";
  private static final Machine MACHINE =
      new Machine(TrainingDevice::compute, Files.exists(Path.of("/proc/driver/nvidia/version")));

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

  /** Whether the choice leaves the device to the program. */
  public static boolean isAuto(String choice) {
    return choice.equals(AUTO);
  }

  /** The CUDA device that {@code auto} or a choice of CUDA means. */
  public static String cudaDevice(String choice) {
    return choice.startsWith(CUDA_N) ? choice : CUDA_N + 0;
  }

  /**
   * Starts the engine and chooses the device. Where {@code auto} finds no CUDA device, the log says
   * why.
   *
   * @param choice {@code cpu}, {@code cuda}, {@code cuda:<number>}, or {@code auto}: CUDA where it
   *     works, else the CPU
   * @throws NativeFailureException the CUDA device worked earlier in this process, and no longer
   *     does
   * @throws IOException {@code cuda} where CUDA, or the device of that number, does not work
   */
  public static TrainingDevice select(String choice) throws IOException {
    return select(choice, "");
  }

  /**
   * {@link #select(String)} for a run that a former process may have begun.
   *
   * @param choice as above; {@code auto} is the device that the run was trained on
   * @param trainedOn the device that the run was trained on, by its name; empty: none yet
   * @throws NativeFailureException also where the run was trained on CUDA, which does not work now:
   *     the run must wait for it
   */
  public static TrainingDevice select(String choice, String trainedOn) throws IOException {
    startEngine();
    TrainingDevice device = select(choice, trainedOn, MACHINE);
    if (device.isGpu()) {
      // PyTorch's own default is TF32 for convolutions. A run sets its precision when it starts.
      var unused = TorchContext.get().apply(TorchContext.Settings.of(Precision.FP32, false));
    }
    return device;
  }

  static TrainingDevice select(String choice, String trainedOn, Machine machine)
      throws IOException {
    String wanted = isAuto(choice) && !trainedOn.isEmpty() ? trainedOn : choice;
    if (wanted.equals(CPU)) {
      return new TrainingDevice(Device.cpu());
    }
    Device cuda = Device.gpu(Integer.parseInt(cudaDevice(wanted).substring(CUDA_N.length())));
    try {
      machine.probe().run(cuda);
      machine.worked().add(cuda);
      return new TrainingDevice(cuda);
    } catch (EngineException e) {
      CudaProblem problem = CudaProblem.of(e, cuda);
      requireNeverUsed(cuda, trainedOn, machine, problem);
      if (!isAuto(wanted)) {
        throw new IOException(
            "--device %s: %s; %s, or use --device cpu"
                .formatted(wanted, problem.found(), problem.remedy()),
            e);
      }
      report(problem, machine);
      return new TrainingDevice(Device.cpu());
    }
  }

  private static void requireNeverUsed(
      Device cuda, String trainedOn, Machine machine, CudaProblem problem)
      throws NativeFailureException {
    if (machine.worked().contains(cuda)) {
      throw new NativeFailureException(
          Kind.DEVICE_LOST,
          "%s worked before and does not work now: %s".formatted(name(cuda), problem.found()));
    }
    if (trainedOn.equals(name(cuda))) {
      throw new NativeFailureException(
          Kind.DEVICE_LOST,
          "the run was trained on %s, which does not work now: %s; %s, or move the run with --device cpu"
              .formatted(trainedOn, problem.found(), problem.remedy()));
    }
  }

  private static void report(CudaProblem problem, Machine machine) {
    String message = "--device auto: no CUDA device works, using the CPU: {}; {}";
    if (problem.cpuBuild() && !machine.hasDriver()) {
      log.info(message, problem.found(), problem.remedy() + " on a machine with a GPU");
    } else {
      log.warn(message, problem.found(), problem.remedy() + ", or use --device cpu");
    }
  }

  /** Loads the native library; no other call does. */
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
    // What DJL does not find it would download.
    return path == null
        ? "this build has none, and PYTORCH_LIBRARY_PATH is not set"
        : "PYTORCH_LIBRARY_PATH=%s has no libtorch".formatted(path);
  }

  /**
   * By trying: a count of devices says nothing about whether the library has machine code for them.
   */
  private static void compute(Device cuda) {
    try (NDManager manager = NDManager.newBaseManager(cuda);
        NDArray two = manager.create(new float[] {1, 1}).sum()) {
      float value = HostCopies.floats(two)[0];
      if (!two.getDevice().isGpu() || value != 2) {
        throw new EngineException("1 + 1 is %s on %s".formatted(value, two.getDevice()));
      }
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

  private static String name(Device device) {
    return device.isGpu() ? CUDA_N + device.getDeviceId() : CPU;
  }

  /** {@code cpu} or {@code cuda:<number>}. */
  @Override
  public String toString() {
    return name(device);
  }
}
