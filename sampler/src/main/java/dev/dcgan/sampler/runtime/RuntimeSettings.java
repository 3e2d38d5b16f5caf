package dev.dcgan.sampler.runtime;

/**
 * How ONNX Runtime runs a network.
 *
 * @param deviceId the CUDA device
 * @param threads per run on the CPU
 * @param tf32 whether a GPU may use TF32 tensor-core math: faster, with a 10-bit mantissa
 * @param gpuMemoryBytes that all sessions of a version together may allocate on a GPU; 0: no limit
 */
public record RuntimeSettings(
    Provider provider, int deviceId, int threads, boolean tf32, long gpuMemoryBytes) {

  /** On CUDA device 0. */
  public RuntimeSettings(Provider provider, int threads, boolean tf32, long gpuMemoryBytes) {
    this(provider, 0, threads, tf32, gpuMemoryBytes);
  }

  /** On the CPU. */
  public static RuntimeSettings cpu(int threads) {
    return new RuntimeSettings(Provider.CPU, threads, false, 0);
  }
}
