package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.LibUtils;
import com.sun.jna.Library;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.HostTensor;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.Tensor;
import dev.dcgan.trainer.torch.TorchContext;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.opentest4j.TestAbortedException;

/** Training on a CUDA device; skipped where there is none. */
class TrainingCudaTest {

  private static final Architecture NARROW = Architecture.mnist28Fast(16, 16);
  private static final int BATCH = 16;

  private final Device cuda = cuda();

  private static Device cuda() {
    try {
      return TrainingDevice.select("cuda").device();
    } catch (IOException e) {
      throw new TestAbortedException("no CUDA device: " + e.getMessage());
    }
  }

  @AfterEach
  void reset() throws IOException {
    TorchContext.get().apply(TorchContext.Settings.of(Precision.FP32, false));
  }

  /**
   * In float32 the devices differ by rounding alone, which Adam enlarges: it moves a weight whose
   * gradient is nearly 0 by the whole rate, up or down. Two ways to compute the same on the CPU
   * differ after 20 steps by 0.4 % of a weight tensor's norm and 0.6 % of a metric; here five times
   * that passes. The first step shows the precision: TF32 rounds to 5e-4.
   */
  @ParameterizedTest
  @CsvSource({"mnist28-fast,1", "paper32,3"})
  void twentySteps_equalTheCpus(String name, int channels) throws IOException {
    Architecture architecture = Architecture.of(name, channels, 16, 16);
    Result onCpu = train(Device.cpu(), architecture, Precision.FP32, false, 20);
    Result onCuda = train(cuda, architecture, Precision.FP32, false, 20);

    assertThat(onCuda.metrics.get(0))
        .usingComparatorWithPrecision(1e-4f)
        .containsExactly(onCpu.metrics.get(0));
    for (int step = 0; step < 20; step++) {
      for (int i = 0; i < 6; i++) {
        assertThat((double) onCuda.metrics.get(step)[i])
            .as("metric %d of step %d", i, step + 1)
            .isCloseTo(onCpu.metrics.get(step)[i], withinPercentage(3));
      }
    }
    onCpu.tensors.forEach(
        (tensor, expected) -> {
          if (tensor.endsWith("_weight")) {
            assertThat(distance(Objects.requireNonNull(onCuda.tensors.get(tensor)), expected))
                .as(tensor)
                .isLessThan(0.02);
          }
        });
  }

  @Test
  void tf32_trainsToo() throws IOException {
    Result result = train(cuda, NARROW, Precision.TF32, false, 20);

    assertThat(result.metrics).allSatisfy(step -> assertThat(finite(step)).isTrue());
  }

  @Test
  void deterministic_givesTheSameWeightsTwice() throws IOException {
    requireDeterministicCublas();

    Result first = train(cuda, NARROW, Precision.FP32, true, 20);
    Result second = train(cuda, NARROW, Precision.FP32, true, 20);

    assertThat(second.tensors).usingRecursiveComparison().isEqualTo(first.tensors);
  }

  @Test
  void deterministic_resumed_givesTheWeightsOfTheUndisturbedRun() throws IOException {
    requireDeterministicCublas();
    Hyperparameters hyperparameters = hyperparameters(Precision.FP32, true);
    Batch batch = batch(NARROW);
    Checkpoint undisturbed;
    Checkpoint half;
    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      GanNetworks networks = networks(manager, NARROW, hyperparameters);
      steps(networks, batch, 10);
      half = HostTensor.copyOf(networks.checkpoint());
      steps(networks, batch, 10);
      undisturbed = HostTensor.copyOf(networks.checkpoint());
    }

    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      GanNetworks networks = networks(manager, NARROW, hyperparameters);
      networks.restore(half);
      steps(networks, batch, 10);

      assertThat(HostTensor.copyOf(networks.checkpoint()))
          .usingRecursiveComparison()
          .isEqualTo(undisturbed);
    }
  }

  @Test
  void resumed_withoutDeterminism_goesOnNearby() throws IOException {
    Batch batch = batch(NARROW);
    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      Hyperparameters hyperparameters = hyperparameters(Precision.FP32, false);
      GanNetworks networks = networks(manager, NARROW, hyperparameters);
      steps(networks, batch, 5);
      GanNetworks resumed = networks(manager, NARROW, hyperparameters);
      resumed.restore(networks.checkpoint());

      float[] expected = steps(networks, batch, 1).get(0);
      float[] actual = steps(resumed, batch, 1).get(0);

      assertThat(actual).usingComparatorWithPrecision(1e-3f).containsExactly(expected);
    }
  }

  /** With PyTorch's own watch for calls that wait for the device. */
  @Test
  void steps_neverWaitForTheDevice() throws IOException {
    Batch batch = batch(NARROW);
    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      GanNetworks networks = networks(manager, NARROW, hyperparameters(Precision.FP32, false));
      steps(networks, batch, 3); // Algorithms are chosen; memory is there.
      List<NDArray> metrics = new ArrayList<>();
      Pointer mode = synchronizationDebugMode();
      mode.setInt(0, 2); // L_ERROR: a call that waits throws.
      try {
        for (int i = 0; i < 10; i++) {
          metrics.add(networks.step(() -> batch).values());
        }
      } finally {
        mode.setInt(0, 0);
      }

      assertThat(metrics).hasSize(10);
      assertThat(finite(metrics.get(9).toFloatArray())).isTrue();
    }
  }

  /** A buffer that is filled again at once must not reach a copy that is still under way. */
  @Test
  void upload_hasTakenTheBatch_whenItReturns() {
    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      BatchUpload uploads = new BatchUpload(manager);
      Batch batch = batch(Architecture.paper(64, 3, 100, 16));
      List<NDArray> uploaded = new ArrayList<>();
      int n = batch.values().remaining() / Float.BYTES;
      for (int round = 0; round < 20; round++) {
        float[] values = new float[n];
        Arrays.fill(values, round);
        batch.values().asFloatBuffer().put(values);
        uploaded.add(uploads.upload(manager, batch));
      }

      for (int round = 0; round < 20; round++) {
        assertThat(uploaded.get(round).getDevice().isGpu()).isTrue();
        assertThat(uploaded.get(round).min().toFloatArray()).containsExactly(round);
        assertThat(uploaded.get(round).max().toFloatArray()).containsExactly(round);
      }
    }
  }

  /** A checkpoint here has 11 MB: one that stayed behind each time would be seen. */
  @Test
  void memory_staysFlat_over200StepsAnd20Checkpoints() throws IOException {
    Architecture architecture = Architecture.mnist28(64, 64);
    Batch batch = batch(architecture);
    try (NDManager manager = NDManager.newBaseManager(cuda)) {
      GanNetworks networks =
          networks(manager, architecture, hyperparameters(Precision.FP32, false));
      for (int i = 0; i < 3; i++) {
        steps(networks, batch, 10);
        HostTensor.copyOf(networks.checkpoint());
        networks.sampleImages();
      }
      int arrays = manager.getManagedArrays().size();
      long bytes = nativeBytes();

      for (int i = 0; i < 20; i++) {
        steps(networks, batch, 10);
        HostTensor.copyOf(networks.checkpoint());
        networks.sampleImages();
      }

      assertThat(manager.getManagedArrays()).hasSize(arrays);
      assertThat(nativeBytes()).isLessThan(bytes + (100L << 20));
    }
  }

  private record Result(List<float[]> metrics, Map<String, Tensor> tensors) {}

  private static Result train(
      Device device, Architecture architecture, Precision precision, boolean repeat, int steps)
      throws IOException {
    try (NDManager manager = NDManager.newBaseManager(device)) {
      GanNetworks networks = networks(manager, architecture, hyperparameters(precision, repeat));
      List<float[]> metrics = steps(networks, batch(architecture), steps);
      return new Result(metrics, HostTensor.copyOf(networks.checkpoint()).tensors());
    }
  }

  private static GanNetworks networks(
      NDManager manager, Architecture architecture, Hyperparameters hyperparameters)
      throws IOException {
    return new GanNetworks(
        manager,
        architecture,
        hyperparameters,
        new Checkpoint.Dataset("noise", "", BATCH),
        false,
        phase -> {});
  }

  private static Hyperparameters hyperparameters(Precision precision, boolean deterministic) {
    return new Hyperparameters(
        1000,
        BATCH,
        2e-4f,
        2e-4f,
        0.5f,
        0.999f,
        0.1f,
        0.9f,
        1,
        1,
        precision,
        deterministic,
        Extensions.NONE);
  }

  private static Batch batch(Architecture architecture) {
    return Benchmark.noise(architecture, BATCH);
  }

  private static List<float[]> steps(GanNetworks networks, Batch batch, int steps)
      throws IOException {
    List<float[]> metrics = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      try (NDArray step = networks.step(() -> batch).values();
          NDArray onHost = step.toDevice(Device.cpu(), true)) {
        metrics.add(onHost.toFloatArray());
      }
    }
    return metrics;
  }

  private static boolean finite(float[] values) {
    for (float value : values) {
      if (!Float.isFinite(value)) {
        return false;
      }
    }
    return values.length > 0;
  }

  /** Of what was expected, relative to its norm. */
  private static double distance(Tensor actual, Tensor expected) {
    float[] found = ((HostTensor) actual).values();
    float[] sought = ((HostTensor) expected).values();
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < sought.length; i++) {
      difference += Math.pow(found[i] - sought[i], 2);
      norm += Math.pow(sought[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  private static void requireDeterministicCublas() {
    String workspace = System.getenv("CUBLAS_WORKSPACE_CONFIG");
    assumeTrue(
        workspace != null && workspace.matches(":4096:8|:16:8"),
        "CUBLAS_WORKSPACE_CONFIG is not set to :4096:8");
  }

  /** {@code c10::cuda::warning_state()}, whose first and only field is the mode. */
  private static Pointer synchronizationDebugMode() {
    Path file = Path.of(LibUtils.getLibtorchPath()).toAbsolutePath().resolve("libc10_cuda.so");
    return NativeLibrary.getInstance(
            file.toString(), Map.of(Library.OPTION_OPEN_FLAGS, 1 | 4)) // RTLD_LAZY | RTLD_NOLOAD
        .getGlobalVariableAddress("_ZZN3c104cuda13warning_stateEvE14warning_state_");
  }

  /** Resident memory outside of the heap. */
  private static long nativeBytes() throws IOException {
    System.gc();
    String resident =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("VmRSS:"))
            .findFirst()
            .orElseThrow();
    long kilobytes = Long.parseLong(resident.replaceAll("[^0-9]", ""));
    return kilobytes * 1024
        - ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getCommitted();
  }
}
