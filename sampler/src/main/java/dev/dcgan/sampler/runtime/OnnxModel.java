package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * A lane of a published generator in ONNX Runtime: owns its use of the sessions and the memory that
 * they read and write.
 *
 * <p>{@code z} (n, latent) goes in; {@code pixels} uint8 (n, h, w, c) and {@code image} float32 (n,
 * c, h, w) come out, each copied only where a slice asks for it. Batches are padded to the sizes
 * that the sessions support. Not thread-safe.
 */
public final class OnnxModel implements Network {

  /**
   * How ONNX Runtime is to run a network.
   *
   * @param deviceId which CUDA device
   * @param threads that a run on the CPU uses
   * @param tf32 whether a GPU may round the factors of products to 10 bits
   * @param gpuMemoryBytes that all sessions of a version together may allocate on a GPU; 0: any
   */
  public record Settings(
      Provider provider, int deviceId, int threads, boolean tf32, long gpuMemoryBytes) {

    /** On CUDA device 0. */
    public Settings(Provider provider, int threads, boolean tf32, long gpuMemoryBytes) {
      this(provider, 0, threads, tf32, gpuMemoryBytes);
    }

    /** On the CPU. */
    public static Settings cpu(int threads) {
      return new Settings(Provider.CPU, threads, false, 0);
    }
  }

  private final GeneratorSession session;
  private final GeneratorMemory memory;

  /** Takes over a session. */
  OnnxModel(GeneratorSession session, GeneratorMemory memory) {
    this.session = session;
    this.memory = memory;
  }

  /**
   * Opens a version for batches of any size, in one session that all lanes share.
   *
   * @param maxBatch images in the largest batch
   * @param count of lanes that may run side by side
   * @throws InvalidModelException ONNX Runtime refuses the model, or it is not what its manifest
   *     says
   * @throws IOException the version cannot be read
   */
  public static List<Network> open(ModelBundle bundle, Settings settings, int maxBatch, int count)
      throws IOException {
    ModelFile onnx = bundle.openModel();
    onnx.requireSelfContained();
    OnnxSession session = OnnxSession.open(bundle, onnx, settings, settings.gpuMemoryBytes);
    List<Network> networks = new ArrayList<>();
    try (session) {
      while (networks.size() < count) {
        GeneratorMemory memory = new GeneratorMemory(bundle.latentSize(), bundle.shape(), maxBatch);
        networks.add(new OnnxModel(session.share(), memory));
      }
      return networks;
    } catch (IOException | RuntimeException | Error e) {
      closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** Closes all, also where one fails; the first failure, with the later ones as suppressed. */
  public static Optional<RuntimeException> closeAll(List<Network> networks) {
    return CloseAll.of(networks.stream().<Runnable>map(network -> network::close).toList());
  }

  /** A model as its own tensors tell: for versions that have no manifest. */
  public static ModelManifest describe(ModelFile onnx) throws IOException {
    onnx.requireSelfContained();
    return OnnxSignatures.read(onnx.path()).toManifest();
  }

  /** What a fault of {@link #run} says of the version; others are thrown on. */
  public static IOException failure(Path folder, RuntimeException fault) {
    if (fault.getCause() instanceof OrtException e) {
      return failure(folder, "cannot run", e);
    }
    throw fault;
  }

  /** Invalid for good, where it is the model that ONNX Runtime refuses; else it may pass. */
  static IOException failure(Path folder, String does, OrtException e) {
    Failure failure = RuntimeFailure.of(e);
    String message = "%s: ONNX Runtime %s it: %s".formatted(folder, does, failure.summary());
    return failure.kind() == Failure.Kind.BAD_MODEL
        ? new InvalidModelException(message, e)
        : new IOException(message, e);
  }

  @Override
  public int latentSize() {
    return memory.latentSize();
  }

  @Override
  public int imageBytes(Output output) {
    return memory.imageBytes(output);
  }

  @Override
  public int padded(int n) {
    return session.padded(n);
  }

  @Override
  public void run(List<BatchSlice> batch) {
    EnumSet<Output> outputs = EnumSet.noneOf(Output.class);
    int n = 0;
    for (BatchSlice slice : batch) {
      outputs.add(slice.output());
      n += slice.count();
    }
    int padded = padded(n);
    FloatBuffer latents = memory.latents(padded);
    batch.forEach(slice -> slice.putLatents(latents));
    while (latents.hasRemaining()) {
      latents.put(0);
    }
    try {
      session.run(padded, memory, outputs);
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime failed on a batch of " + n, e);
    }
    int at = 0;
    for (BatchSlice slice : batch) {
      slice.takeImages(
          memory.images(slice.output(), padded).position(at * imageBytes(slice.output())));
      at += slice.count();
    }
  }

  @Override
  public void close() {
    session.close();
  }
}
