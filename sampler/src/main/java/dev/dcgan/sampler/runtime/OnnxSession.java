package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.model.Pixels;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A session of ONNX Runtime, which runs batches of any size. Several lanes may share it, because
 * concurrent runs are allowed; it is closed with its last user.
 */
final class OnnxSession implements GeneratorSession {

  private final OrtSession session;
  private final Signature signature;

  // Mutable state
  private final AtomicInteger users = new AtomicInteger(1);

  private OnnxSession(OrtSession session, Signature signature) {
    this.session = session;
    this.signature = signature;
  }

  /**
   * Opens a version, and compares its signature with its manifest.
   *
   * @param onnx the version's model, whose digest is verified
   * @param gpuMemoryBytes that the session may allocate on a GPU; 0: no limit
   * @throws InvalidModelException ONNX Runtime rejects the model, it contradicts its manifest, or
   *     CUDA cannot run all of it
   */
  static OnnxSession open(
      ModelBundle bundle, ModelFile onnx, RuntimeSettings settings, long gpuMemoryBytes)
      throws IOException {
    OrtSession session;
    try (SessionOptions options = OnnxRuntime.options(settings, gpuMemoryBytes)) {
      session = OnnxRuntime.ENVIRONMENT.createSession(onnx.path().toString(), options);
    } catch (OrtException e) {
      throw cannotOpen(bundle.folder(), e);
    }
    try {
      onnx.requireUnchanged();
      return new OnnxSession(session, OnnxSignatures.of(bundle, session));
    } catch (OrtException e) {
      closeAfter(session, e);
      throw RuntimeFailure.cannot("run", bundle.folder(), e);
    } catch (IOException | RuntimeException | Error e) {
      closeAfter(session, e);
      throw e;
    }
  }

  /** The reason why a model cannot be opened. */
  static IOException cannotOpen(Path folder, OrtException e) {
    if (OnnxRuntime.isCpuFallback(e)) {
      return new InvalidModelException(
          "cannot open %s on CUDA: the model has operators without a CUDA kernel; publish it again with the trainer, or use --provider cpu"
              .formatted(folder),
          e);
    }
    return RuntimeFailure.cannot("open", folder, e);
  }

  /** Adds a user, which closes the session too. */
  OnnxSession share() {
    users.incrementAndGet();
    return this;
  }

  @Override
  public int padded(int n) {
    return n;
  }

  @Override
  public void run(int n, GeneratorMemory memory, Set<Output> outputs) throws OrtException {
    boolean toPixels = outputs.contains(Output.PIXELS) && signature.pixels() == null;
    Map<String, OnnxValue> pinned = new HashMap<>();
    try (OnnxTensor input = input(n, memory)) {
      if (outputs.contains(Output.FLOATS) || toPixels) {
        pinned.put(signature.image(), pinned(Output.FLOATS, OnnxJavaType.FLOAT, n, memory));
      }
      if (outputs.contains(Output.PIXELS) && !toPixels) {
        pinned.put(signature.pixels(), pinned(Output.PIXELS, OnnxJavaType.UINT8, n, memory));
      }
      // The result is empty: the images are in the pinned tensors.
      session.run(Map.of(signature.input(), input), pinned).close();
    } finally {
      pinned.values().forEach(OnnxValue::close);
    }
    if (toPixels) {
      float[] images = new float[n * memory.shape().values()];
      memory.images(Output.FLOATS, n).asFloatBuffer().get(images);
      memory.images(Output.PIXELS, n).put(Pixels.of(images, memory.shape()));
    }
  }

  @Override
  public void close() {
    if (users.decrementAndGet() > 0) {
      return;
    }
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("cannot close a session of ONNX Runtime", e);
    }
  }

  private OnnxTensor input(int n, GeneratorMemory memory) throws OrtException {
    FloatBuffer latents = memory.latents(n);
    long[] dimensions =
        signature.fourDimensional()
            ? new long[] {n, memory.latentSize(), 1, 1}
            : new long[] {n, memory.latentSize()};
    return OnnxTensor.createTensor(OnnxRuntime.ENVIRONMENT, latents, dimensions);
  }

  private static OnnxTensor pinned(Output output, OnnxJavaType type, int n, GeneratorMemory memory)
      throws OrtException {
    return OnnxTensor.createTensor(
        OnnxRuntime.ENVIRONMENT,
        memory.images(output, n).slice().order(ByteOrder.nativeOrder()),
        OnnxSignatures.dimensions(n, output, memory.shape()),
        type);
  }

  private static void closeAfter(OrtSession session, Throwable failure) {
    try {
      session.close();
    } catch (OrtException e) {
      failure.addSuppressed(e);
    }
  }
}
