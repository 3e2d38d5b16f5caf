package dev.dcgan.sampler.model;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.TensorInfo;
import ai.onnxruntime.providers.OrtCUDAProviderOptions;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.batch.Network;
import dev.dcgan.sampler.batch.Output;
import dev.dcgan.sampler.batch.Slice;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A published generator in ONNX Runtime: owns the session and the memory that it reads and writes.
 *
 * <p>{@code z} (n, latent) goes in; {@code pixels} uint8 (n, h, w, c) and {@code image} float32 (n,
 * c, h, w) come out, each copied only where a slice asks for it. On CUDA every new batch shape is
 * tuned afresh, so batches are padded to powers of two, which are to be run before the first caller
 * comes. Not thread-safe.
 */
public final class OnnxGenerator implements Network {

  /**
   * How ONNX Runtime is to run a network.
   *
   * @param threads that a run on the CPU uses
   * @param tf32 whether a GPU may round the factors of products to 10 bits
   * @param gpuMemoryBytes that a session may take on a GPU; 0: as much as there is
   */
  public record Settings(Provider provider, int threads, boolean tf32, long gpuMemoryBytes) {}

  private static final String LATENT = "z";

  // ONNX, opset 17: y (1, 1, 3, 3) = ConvTranspose(x, x), x (1, 1, 2, 2).
  private static final byte[] PROBE =
      HexFormat.of()
          .parseHex(
              "08083a5b0a180a01780a0178120179220d436f6e765472616e73706f7365120570726f62655a1b0a"
                  + "017812160a14080112100a0208010a0208010a0208020a020802621b0a017912160a14080112100a"
                  + "0208010a0208010a0208030a02080342021011");

  // FATAL: what goes wrong is thrown at us; looking for a GPU that is not there is no warning.
  private static final OrtEnvironment ENVIRONMENT =
      OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "sampler");

  private final OrtSession session;
  private final Provider provider;
  private final int maxBatch;
  private final int latentSize;
  private final ImageShape shape;
  private final FloatBuffer latents;
  private final ByteBuffer pixels;
  private final ByteBuffer floats;

  private OnnxGenerator(OrtSession session, ModelBundle bundle, Provider provider, int maxBatch)
      throws IOException {
    this.session = session;
    this.provider = provider;
    this.maxBatch = maxBatch;
    this.latentSize = bundle.latentSize();
    this.shape = bundle.shape();
    this.latents = buffer(latentSize * Float.BYTES).asFloatBuffer();
    this.pixels = buffer(imageBytes(Output.PIXELS));
    this.floats = buffer(imageBytes(Output.FLOATS));
  }

  /**
   * Opens a version and compares its signature with its manifest.
   *
   * @param maxBatch images in the largest batch
   * @throws InvalidModelException ONNX Runtime refuses the model, or it is not what its manifest
   *     says
   * @throws IOException the version cannot be read
   */
  public static OnnxGenerator open(ModelBundle bundle, Settings settings, int maxBatch)
      throws IOException {
    byte[] onnx = bundle.readModel();
    OrtSession session;
    try (SessionOptions options = new SessionOptions()) {
      configure(options, settings);
      session = ENVIRONMENT.createSession(onnx, options);
    } catch (OrtException e) {
      throw new InvalidModelException(
          "%s: ONNX Runtime refuses it: %s".formatted(bundle.folder(), e.getMessage()), e);
    }
    try {
      checkSignature(session, bundle);
      return new OnnxGenerator(session, bundle, settings.provider, maxBatch);
    } catch (OrtException e) {
      closeAfter(session, e);
      throw new InvalidModelException(
          "%s: ONNX Runtime cannot run it: %s".formatted(bundle.folder(), e.getMessage()), e);
    } catch (IOException | RuntimeException | Error e) {
      // Errors too: there may be no direct memory left, and the watcher will come again.
      closeAfter(session, e);
      throw e;
    }
  }

  /**
   * Makes sure that CUDA can be used here, by using it. The list of available providers does not
   * tell, it names what the library was built with; and a provider that loads may still lack cuDNN.
   *
   * @throws IOException it cannot; the message says why
   */
  public static void requireCuda() throws IOException {
    try {
      runProbe(Provider.CUDA);
    } catch (OrtException e) {
      throw new IOException("CUDA cannot be used here (%s)".formatted(firstLine(e)), e);
    }
  }

  /** Runs a convolution of four numbers with themselves. */
  static float[] runProbe(Provider provider) throws OrtException {
    try (SessionOptions options = new SessionOptions()) {
      configure(options, new Settings(provider, 1, false, 0));
      if (provider == Provider.CUDA) {
        options.addConfigEntry("session.disable_cpu_ep_fallback", "1");
      }
      float[] four = {1, 2, 3, 4};
      try (OrtSession session = ENVIRONMENT.createSession(PROBE, options);
          OnnxTensor x =
              OnnxTensor.createTensor(
                  ENVIRONMENT, FloatBuffer.wrap(four), new long[] {1, 1, 2, 2});
          OrtSession.Result result = session.run(Map.of("x", x))) {
        return ((OnnxTensor) result.get(0)).getFloatBuffer().array();
      }
    }
  }

  @Override
  public int latentSize() {
    return latentSize;
  }

  @Override
  public int imageBytes(Output output) {
    return output == Output.PIXELS ? shape.values() : shape.values() * Float.BYTES;
  }

  @Override
  public int padded(int n) {
    return provider == Provider.CUDA
        ? Math.min(maxBatch, n == 1 ? 1 : Integer.highestOneBit(n - 1) << 1)
        : n;
  }

  @Override
  public void run(List<Slice> batch) {
    latents.clear();
    EnumSet<Output> outputs = EnumSet.noneOf(Output.class);
    int n = 0;
    for (Slice slice : batch) {
      slice.putLatents(latents);
      outputs.add(slice.output());
      n += slice.count();
    }
    int padded = padded(n);
    while (latents.position() < padded * latentSize) {
      latents.put(0);
    }
    try {
      run(padded, outputs);
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime failed on a batch of " + n, e);
    }
    int at = 0;
    for (Slice slice : batch) {
      slice.takeImages(memory(slice.output()).position(at * imageBytes(slice.output())));
      at += slice.count();
    }
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime cannot close a session", e);
    }
  }

  /** Runs the first n latents into the first n images. */
  private void run(int n, Set<Output> outputs) throws OrtException {
    Map<String, OnnxValue> pinned = new HashMap<>();
    latents.clear().limit(n * latentSize);
    try (OnnxTensor input = OnnxTensor.createTensor(ENVIRONMENT, latents, batchOf(n, latentSize))) {
      for (Output output : outputs) {
        pinned.put(name(output), pinned(output, n));
      }
      // Empty: nothing was allocated, the images are in the pinned tensors.
      session.run(Map.of(LATENT, input), pinned).close();
    } finally {
      pinned.values().forEach(OnnxValue::close);
    }
  }

  private OnnxTensor pinned(Output output, int n) throws OrtException {
    ByteBuffer into =
        memory(output).limit(n * imageBytes(output)).slice().order(ByteOrder.nativeOrder());
    return output == Output.PIXELS
        ? OnnxTensor.createTensor(
            ENVIRONMENT, into, batchOf(n, dimensions(output, shape)), OnnxJavaType.UINT8)
        : OnnxTensor.createTensor(
            ENVIRONMENT, into, batchOf(n, dimensions(output, shape)), OnnxJavaType.FLOAT);
  }

  private ByteBuffer memory(Output output) {
    return (output == Output.PIXELS ? pixels : floats).clear();
  }

  private ByteBuffer buffer(int bytesEach) throws IOException {
    long bytes = (long) maxBatch * bytesEach;
    if (bytes > Integer.MAX_VALUE) {
      throw new IOException(
          "a batch of %d images of %s takes %d bytes; expected at most %d: lower --max-batch"
              .formatted(maxBatch, shape, bytes, Integer.MAX_VALUE));
    }
    return ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
  }

  private static void configure(SessionOptions options, Settings settings) throws OrtException {
    options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
    options.setInterOpNumThreads(1);
    options.setIntraOpNumThreads(settings.threads);
    // Threads that wait sleep: the cores have other sessions, and callers, to serve.
    options.addConfigEntry("session.intra_op.allow_spinning", "0");
    if (settings.provider == Provider.CUDA) {
      addCuda(options, settings);
    }
  }

  /**
   * Options of the CUDA execution provider: the same image must come out the same, and memory must
   * not double whenever it grows.
   */
  private static void addCuda(SessionOptions options, Settings settings) throws OrtException {
    try (OrtCUDAProviderOptions cuda = new OrtCUDAProviderOptions(0)) {
      cuda.add("cudnn_conv_algo_search", "HEURISTIC");
      cuda.add("arena_extend_strategy", "kSameAsRequested");
      cuda.add("use_tf32", settings.tf32 ? "1" : "0");
      if (settings.gpuMemoryBytes > 0) {
        cuda.add("gpu_mem_limit", Long.toString(settings.gpuMemoryBytes));
      }
      options.addCUDA(cuda);
      options.setDeterministicCompute(true);
    }
  }

  private static void checkSignature(OrtSession session, ModelBundle bundle)
      throws OrtException, InvalidModelException {
    checkTensor(
        bundle, "input", session.getInputInfo(), LATENT, OnnxJavaType.FLOAT, bundle.latentSize());
    if (session.getNumInputs() != 1) {
      throw new InvalidModelException(
          "%s: inputs %s; expected one, '%s'"
              .formatted(bundle.folder(), session.getInputNames(), LATENT));
    }
    for (Output output : Output.values()) {
      checkTensor(
          bundle,
          "output",
          session.getOutputInfo(),
          name(output),
          output == Output.PIXELS ? OnnxJavaType.UINT8 : OnnxJavaType.FLOAT,
          dimensions(output, bundle.shape()));
    }
  }

  private static void checkTensor(
      ModelBundle bundle,
      String kind,
      Map<String, NodeInfo> nodes,
      String name,
      OnnxJavaType type,
      long... each)
      throws InvalidModelException {
    NodeInfo node = nodes.get(name);
    String expected = "%s (-1, %s)".formatted(type, join(each));
    if (node == null || !(node.getInfo() instanceof TensorInfo tensor)) {
      throw new InvalidModelException(
          "%s: no %s '%s' among %s; expected %s"
              .formatted(bundle.folder(), kind, name, nodes.keySet(), expected));
    }
    if (tensor.type != type || !Arrays.equals(tensor.getShape(), batchOf(-1, each))) {
      throw new InvalidModelException(
          "%s: %s '%s' is %s (%s); its manifest makes that %s"
              .formatted(
                  bundle.folder(), kind, name, tensor.type, join(tensor.getShape()), expected));
    }
  }

  private static String name(Output output) {
    return output == Output.PIXELS ? "pixels" : "image";
  }

  private static long[] dimensions(Output output, ImageShape shape) {
    return output == Output.PIXELS
        ? new long[] {shape.height(), shape.width(), shape.channels()}
        : new long[] {shape.channels(), shape.height(), shape.width()};
  }

  private static long[] batchOf(int n, long... each) {
    long[] dimensions = new long[1 + each.length];
    dimensions[0] = n;
    System.arraycopy(each, 0, dimensions, 1, each.length);
    return dimensions;
  }

  /** ONNX Runtime's messages may go on with a stack of its own. */
  private static String firstLine(OrtException e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("no reason given");
  }

  private static String join(long... dimensions) {
    String text = Arrays.toString(dimensions);
    return text.substring(1, text.length() - 1);
  }

  private static void closeAfter(OrtSession session, Throwable failure) {
    try {
      session.close();
    } catch (OrtException e) {
      failure.addSuppressed(e);
    }
  }
}
