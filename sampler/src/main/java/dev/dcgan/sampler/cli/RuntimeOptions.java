package dev.dcgan.sampler.cli;

import dev.dcgan.sampler.runtime.CudaProbe;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.BucketSelection;
import dev.dcgan.server.Validator;
import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** Command-line options of the commands that run a network. */
final class RuntimeOptions {

  /** The values of {@code --provider}; the constants are spelled as on the command line. */
  enum ProviderChoice {
    auto,
    cuda,
    cpu
  }

  private static final Logger log = LoggerFactory.getLogger(RuntimeOptions.class);
  private static final int MAX_SESSIONS = 256;
  private static final int MAX_THREADS = 1024;
  private static final int MAX_DEVICE_ID = 255;
  private static final int MAX_GPU_MEMORY_MIB = 1 << 20;
  private static final int MAX_ACTIVATION_MEMORY_MIB = 1 << 20;
  private static final int DEFAULT_GPU_SESSIONS = 2;

  @Option(
      names = "--provider",
      description =
          "Execution provider: ${COMPLETION-CANDIDATES}. auto: CUDA if it works, else the CPU.")
  private ProviderChoice provider = ProviderChoice.auto;

  @Option(
      names = "--device-id",
      description = "CUDA device, as numbered by nvidia-smi among those visible to this process.")
  private int deviceId;

  @Option(
      names = "--sessions",
      description =
          "Concurrent inference sessions per model version; 0: one per core on the CPU, two on a GPU."
              + " On the CPU they share the weights. On a GPU each session has a copy of the weights"
              + " for every batch size that it runs.")
  private int sessions;

  @Option(
      names = "--intra-op-threads",
      description = "CPU threads per session; 0: the cores divided by the sessions.")
  private int threads;

  @Option(
      names = "--max-batch",
      description =
          "Maximum batch size. Batches are smaller if the latency that is measured when a version is"
              + " loaded shows that larger ones do not pay.")
  private int maxBatch = 256;

  @Option(
      names = "--allow-tf32",
      description = "Allow TF32 tensor-core math (faster, 10-bit mantissa).")
  private boolean allowTf32;

  @Option(
      names = "--gpu-memory",
      description =
          "GPU memory in MiB for the weights and activations of all sessions of a version; 0: no"
              + " limit.")
  private int gpuMemory;

  @Option(
      names = "--activation-memory",
      description =
          "Memory in MiB for the values (activations) of one batch, estimated from the model's graph"
              + " before it is opened. Batches are smaller if larger ones need more; a model of which"
              + " one image needs more is rejected.")
  private int activationMemory = (int) (RuntimeSettings.DEFAULT_ACTIVATION_BYTES >> 20);

  void check(Validator problems) {
    problems.requireRange("--device-id", deviceId, 0, MAX_DEVICE_ID);
    problems.requireRange("--sessions", sessions, 0, MAX_SESSIONS);
    problems.requireRange("--intra-op-threads", threads, 0, MAX_THREADS);
    problems.requireRange("--gpu-memory", gpuMemory, 0, MAX_GPU_MEMORY_MIB);
    problems.requireRange("--activation-memory", activationMemory, 1, MAX_ACTIVATION_MEMORY_MIB);
    problems.requireRange("--max-batch", maxBatch, 1, BatchingPolicy.MAX_BATCH);
  }

  /** The requested {@code --provider}. */
  String requestedProvider() {
    return provider.name();
  }

  /**
   * Chooses the provider; whether CUDA works is found out by using it.
   *
   * @throws IOException CUDA was requested and cannot be used
   */
  Provider chooseProvider() throws IOException {
    if (provider == ProviderChoice.cpu) {
      return Provider.CPU;
    }
    try {
      CudaProbe.require(deviceId);
      log.info("inference runs on CUDA: device_id={}", deviceId);
      return Provider.CUDA;
    } catch (IOException e) {
      if (provider == ProviderChoice.cuda) {
        throw new IOException(e.getMessage() + "; use --provider cpu, or auto", e);
      }
      log.info("inference runs on the CPU: {}", e.getMessage());
      return Provider.CPU;
    }
  }

  /** Concurrent sessions per version. */
  int sessions(Provider chosen) {
    return sessions > 0 ? sessions : chosen == Provider.CPU ? cores() : DEFAULT_GPU_SESSIONS;
  }

  /** The maximum of copies of a version's weights in memory. */
  int weightCopies(Provider chosen) {
    return chosen == Provider.CPU
        ? 1
        : sessions(chosen) * BucketSelection.candidates(maxBatch).length;
  }

  int maxBatch() {
    return maxBatch;
  }

  RuntimeSettings settings(Provider chosen) {
    return new RuntimeSettings(
        chosen,
        deviceId,
        threads > 0 ? threads : Math.max(1, cores() / sessions(chosen)),
        allowTf32,
        gpuMemory * 1024L * 1024,
        activationMemory * 1024L * 1024);
  }

  private static int cores() {
    return Runtime.getRuntime().availableProcessors();
  }
}
