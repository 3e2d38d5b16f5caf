package dev.dcgan.sampler.runtime;

/**
 * How ONNX Runtime runs a network.
 *
 * @param deviceId the CUDA device
 * @param threads per run on the CPU
 * @param tf32 whether a GPU may use TF32 tensor-core math: faster, with a 10-bit mantissa
 * @param gpuMemoryBytes that all sessions of a version together may allocate on a GPU; 0: no limit
 * @param activationBytes that the values of one run may take, by the model's graph
 */
public record RuntimeSettings(
    Provider provider,
    int deviceId,
    int threads,
    boolean tf32,
    long gpuMemoryBytes,
    long activationBytes) {

  /** Of one run, unless an option says otherwise: 1 GiB. */
  public static final long DEFAULT_ACTIVATION_BYTES = 1L << 30;

  /** With the default for the values of a run. */
  public RuntimeSettings(
      Provider provider, int deviceId, int threads, boolean tf32, long gpuMemoryBytes) {
    this(provider, deviceId, threads, tf32, gpuMemoryBytes, DEFAULT_ACTIVATION_BYTES);
  }

  /** On CUDA device 0. */
  public RuntimeSettings(Provider provider, int threads, boolean tf32, long gpuMemoryBytes) {
    this(provider, 0, threads, tf32, gpuMemoryBytes);
  }

  /** On the CPU. */
  public static RuntimeSettings cpu(int threads) {
    return new RuntimeSettings(Provider.CPU, threads, false, 0);
  }
}
