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
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A session of ONNX Runtime, which runs batches of any size. Several lanes may share it, because
 * concurrent runs are allowed; it is closed with its last user.
 */
final class OnnxSession implements GeneratorSession {

  private final OrtSession session;
  private final Signature signature;

  // Mutable state
  private final AtomicInteger users = new AtomicInteger(1);

  OnnxSession(OrtSession session, Signature signature) {
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
    Map<Output, String> names = new EnumMap<>(Output.class);
    if (outputs.contains(Output.FLOATS) || toPixels) {
      names.put(Output.FLOATS, signature.image());
    }
    if (signature.pixels() != null && outputs.contains(Output.PIXELS)) {
      names.put(Output.PIXELS, signature.pixels());
    }
    if (signature.batch() == 0) {
      runTogether(n, memory, names);
    } else {
      runInPieces(n, memory, names);
    }
    if (signature.range() != null && names.containsKey(Output.FLOATS)) {
      signature.range().map(memory.images(Output.FLOATS, n).asFloatBuffer());
    }
    if (toPixels) {
      float[] images = new float[n * memory.shape().values()];
      memory.images(Output.FLOATS, n).asFloatBuffer().get(images);
      memory.images(Output.PIXELS, n).put(Pixels.of(images, memory.shape()));
    }
  }

  private void runTogether(int n, GeneratorMemory memory, Map<Output, String> names)
      throws OrtException {
    Map<String, OnnxValue> pinned = new HashMap<>();
    try (OnnxTensor input = input(n, memory.latents(n));
        OnnxTensor labels = signature.label() == null ? null : labels(n, memory)) {
      for (Map.Entry<Output, String> output : names.entrySet()) {
        OnnxJavaType type =
            output.getKey() == Output.PIXELS ? OnnxJavaType.UINT8 : OnnxJavaType.FLOAT;
        pinned.put(output.getValue(), pinned(output.getKey(), type, n, memory));
      }
      // The result is empty: the images are in the pinned tensors.
      session.run(inputs(input, labels), Set.of(), pinned, LoaderThread.runOptions()).close();
    } finally {
      pinned.values().forEach(OnnxValue::close);
    }
  }

  private Map<String, OnnxTensor> inputs(OnnxTensor input, @Nullable OnnxTensor labels) {
    return signature.label() == null || labels == null
        ? Map.of(signature.input(), input)
        : Map.of(signature.input(), input, signature.label(), labels);
  }

  /**
   * Runs batches of the fixed size; the last one is padded with zeros. Only a model without a
   * manifest has a fixed size, so it has no labels.
   */
  private void runInPieces(int n, GeneratorMemory memory, Map<Output, String> names)
      throws OrtException {
    int batch = signature.batch();
    int latentSize = memory.latentSize();
    FloatBuffer latents = memory.latents(n);
    FloatBuffer piece =
        ByteBuffer.allocateDirect(batch * latentSize * Float.BYTES)
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    for (int first = 0; first < n; first += batch) {
      int count = Math.min(batch, n - first);
      for (int i = 0; i < batch * latentSize; i++) {
        piece.put(i, i < count * latentSize ? latents.get(first * latentSize + i) : 0);
      }
      try (OnnxTensor input = input(batch, piece);
          OrtSession.Result result =
              session.run(
                  Map.of(signature.input(), input),
                  Set.copyOf(names.values()),
                  Map.of(),
                  LoaderThread.runOptions())) {
        for (Map.Entry<Output, String> output : names.entrySet()) {
          int bytes = memory.imageBytes(output.getKey());
          OnnxTensor images = (OnnxTensor) result.get(output.getValue()).orElseThrow();
          memory
              .images(output.getKey(), n)
              .position(first * bytes)
              .put(images.getByteBuffer().limit(count * bytes));
        }
      }
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

  private OnnxTensor input(int n, FloatBuffer latents) throws OrtException {
    long[] dimensions =
        signature.fourDimensional()
            ? new long[] {n, signature.latentSize(), 1, 1}
            : new long[] {n, signature.latentSize()};
    return OnnxTensor.createTensor(OnnxRuntime.ENVIRONMENT, latents, dimensions);
  }

  private static OnnxTensor labels(int n, GeneratorMemory memory) throws OrtException {
    return OnnxTensor.createTensor(OnnxRuntime.ENVIRONMENT, memory.labels(n), new long[] {n});
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
