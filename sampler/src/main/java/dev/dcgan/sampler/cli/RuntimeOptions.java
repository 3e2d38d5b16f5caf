package dev.dcgan.sampler.cli;

import dev.dcgan.sampler.runtime.CudaProbe;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.BucketSelection;
import dev.dcgan.server.Validator;
import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** How the network is to be run, on the command line of whatever runs one. */
final class RuntimeOptions {

  /** What {@code --provider} may ask for; the constants are spelled as on the command line. */
  enum Wanted {
    auto,
    cuda,
    cpu
  }

  private static final Logger log = LoggerFactory.getLogger(RuntimeOptions.class);
  private static final int MOST_SESSIONS = 256;
  private static final int MOST_THREADS = 1024;
  private static final int MAX_DEVICE_ID = 255;
  private static final int GPU_SESSIONS = 2;

  @Option(
      names = "--provider",
      description = "What runs the network: ${COMPLETION-CANDIDATES}. auto: CUDA, else the CPU.")
  private Wanted provider = Wanted.auto;

  @Option(
      names = "--device-id",
      description = "The CUDA device, as nvidia-smi numbers those that this process may use.")
  private int deviceId;

  @Option(
      names = "--sessions",
      description =
          "Concurrent runs of each version; 0: on the CPU one a core, on a GPU two. On the CPU they"
              + " share the version's weights. On a GPU each has a copy of them for every batch"
              + " size that it runs.")
  private int sessions;

  @Option(
      names = "--intra-op-threads",
      description = "CPU threads a run; 0: as many as leave one a core to all sessions.")
  private int threads;

  @Option(
      names = "--max-batch",
      description =
          "The most images that the network runs at once. Where an image gets no cheaper in large"
              + " batches, as measured when a version is loaded, they are smaller.")
  private int maxBatch = 256;

  @Option(names = "--allow-tf32", description = "Let a GPU round the factors of products.")
  private boolean allowTf32;

  @Option(
      names = "--gpu-memory",
      description =
          "MiB of GPU memory for the weights and activations of each version, all its sessions"
              + " together; 0: any.")
  private int gpuMemory;

  void check(Validator problems) {
    problems.requireRange("--device-id", deviceId, 0, MAX_DEVICE_ID);
    problems.requireRange("--sessions", sessions, 0, MOST_SESSIONS);
    problems.requireRange("--intra-op-threads", threads, 0, MOST_THREADS);
    problems.requireRange("--gpu-memory", gpuMemory, 0, 1 << 20);
    problems.requireRange("--max-batch", maxBatch, 1, BatchingPolicy.LARGEST_BATCH);
  }

  /** The {@code --provider} that was asked for. */
  String asked() {
    return provider.name();
  }

  /**
   * What is to run the network, by trying.
   *
   * @throws IOException CUDA was asked for, and cannot be used
   */
  Provider chooseProvider() throws IOException {
    if (provider == Wanted.cpu) {
      return Provider.CPU;
    }
    try {
      CudaProbe.require(deviceId);
      log.info("running on CUDA: device_id={}", deviceId);
      return Provider.CUDA;
    } catch (IOException e) {
      if (provider == Wanted.cuda) {
        throw new IOException(e.getMessage() + "; use --provider cpu, or auto", e);
      }
      log.info("running on the CPU: {}", e.getMessage());
      return Provider.CPU;
    }
  }

  /** Runs side by side. */
  int sessions(Provider chosen) {
    return sessions > 0 ? sessions : chosen == Provider.CPU ? cores() : GPU_SESSIONS;
  }

  /** How often the weights of a version are in memory, at most. */
  int weightCopies(Provider chosen) {
    return chosen == Provider.CPU
        ? 1
        : sessions(chosen) * BucketSelection.candidates(maxBatch).length;
  }

  int maxBatch() {
    return maxBatch;
  }

  OnnxModel.Settings settings(Provider chosen) {
    return new OnnxModel.Settings(
        chosen,
        deviceId,
        threads > 0 ? threads : Math.max(1, cores() / sessions(chosen)),
        allowTf32,
        gpuMemory * 1024L * 1024);
  }

  private static int cores() {
    return Runtime.getRuntime().availableProcessors();
  }
}
