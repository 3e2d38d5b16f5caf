package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * One lane of a generator in ONNX Runtime: a session, or a use of a shared one, and the buffers
 * that it reads and writes.
 *
 * <p>The inputs are {@code z} (n, latent) and, if the generator is conditional, {@code label} int64
 * (n). The outputs are {@code pixels} uint8 (n, h, w, c) and {@code image} float32 (n, c, h, w),
 * each copied only if a slice requests it. Batches are padded to the sizes that the session
 * supports. Not thread-safe.
 */
public final class OnnxModel implements Network {

  private final GeneratorSession session;
  private final GeneratorMemory memory;

  /** Takes ownership of a session. */
  OnnxModel(GeneratorSession session, GeneratorMemory memory) {
    this.session = session;
    this.memory = memory;
  }

  /**
   * Opens a version for batches of any size, in one session that all lanes share.
   *
   * @param maxBatch images in the largest batch
   * @param lanes that may run concurrently
   * @throws InvalidModelException the graph is not allowed or needs too much memory, ONNX Runtime
   *     rejects the model, or it contradicts its manifest
   * @throws IOException the version cannot be read
   */
  public static List<Network> open(
      ModelBundle bundle, RuntimeSettings settings, int maxBatch, int lanes) throws IOException {
    ModelFile onnx = CheckedModel.of(bundle, settings, maxBatch);
    OnnxSession session = OnnxSession.open(bundle, onnx, settings, settings.gpuMemoryBytes());
    List<Network> networks = new ArrayList<>();
    try (session) {
      while (networks.size() < lanes) {
        networks.add(new OnnxModel(session.share(), GeneratorMemory.of(bundle, maxBatch)));
      }
      return networks;
    } catch (IOException | RuntimeException | Error e) {
      closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** Closes all even if one fails; returns the first failure, with the later ones as suppressed. */
  public static Optional<RuntimeException> closeAll(List<Network> networks) {
    return CloseAll.of(networks.stream().<Runnable>map(network -> network::close).toList());
  }

  /**
   * Describes a model by its own tensors and by a few images, for versions that have no manifest.
   *
   * @param activationBytes that the values of a run may take
   * @throws InvalidModelException the model is not a generator whose images depend on their latents
   *     alone
   */
  public static ModelManifest describe(ModelFile onnx, long activationBytes) throws IOException {
    int images =
        CheckedModel.largestBatch(
            onnx, OutputProbe.MIN_IMAGES, OutputProbe.MAX_IMAGES, activationBytes);
    return OnnxSignatures.read(onnx.path(), images).toManifest();
  }

  /** As above, with the default. */
  public static ModelManifest describe(ModelFile onnx) throws IOException {
    return describe(onnx, RuntimeSettings.DEFAULT_ACTIVATION_BYTES);
  }

  /**
   * The largest batch of a version that fits into memory: maxBatch, or a half, a quarter and so on.
   *
   * @throws InvalidModelException the graph is not allowed, or a single image needs too much
   */
  public static int largestBatch(ModelBundle bundle, RuntimeSettings settings, int maxBatch)
      throws IOException {
    return CheckedModel.largestBatch(bundle.openModel(), 1, maxBatch, settings.activationBytes());
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
    if (memory.conditional()) {
      putLabels(batch, memory.labels(padded));
    }
    try {
      session.run(padded, memory, outputs);
    } catch (OrtException e) {
      throw new IllegalStateException("cannot run a batch of %d images".formatted(n), e);
    }
    int at = 0;
    for (BatchSlice slice : batch) {
      slice.takeImages(
          memory.images(slice.output(), padded).position(at * imageBytes(slice.output())));
      at += slice.count();
    }
  }

  private static void putLabels(List<BatchSlice> batch, LongBuffer labels) {
    batch.forEach(slice -> slice.putLabels(labels));
    while (labels.hasRemaining()) {
      labels.put(0);
    }
  }

  @Override
  public void close() {
    session.close();
  }
}
