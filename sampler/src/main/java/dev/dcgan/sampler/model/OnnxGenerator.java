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
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A published generator in ONNX Runtime: owns the session and the memory that it reads and writes.
 *
 * <p>{@code z} (n, latent) goes in; {@code pixels} uint8 (n, h, w, c) and {@code image} float32 (n,
 * c, h, w) come out, each copied only where a slice asks for it. On CUDA every new batch shape is
 * tuned afresh, so batches are padded to powers of two, all of which {@link #open} warms. Not
 * thread-safe.
 */
public final class OnnxGenerator implements Network {

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
  private final ByteBuffer z;
  private final ByteBuffer pixels;
  private final ByteBuffer floats;

  private OnnxGenerator(OrtSession session, ModelBundle bundle, Provider provider, int maxBatch)
      throws IOException {
    this.session = session;
    this.provider = provider;
    this.maxBatch = maxBatch;
    this.latentSize = bundle.latentSize();
    this.shape = bundle.shape();
    this.z = buffer(latentSize * Float.BYTES);
    this.pixels = buffer(imageBytes(Output.PIXELS));
    this.floats = buffer(imageBytes(Output.FLOATS));
  }

  /**
   * Opens a version, compares it with its manifest and warms it for every batch it will meet.
   *
   * @param maxBatch images in the largest batch
   * @param threads that a run on the CPU uses
   * @throws InvalidModelException ONNX Runtime refuses the model, or it is not what its manifest
   *     says
   * @throws IOException the version cannot be read
   */
  public static OnnxGenerator open(ModelBundle bundle, Provider provider, int maxBatch, int threads)
      throws IOException {
    byte[] onnx = bundle.readModel();
    OrtSession session;
    try (SessionOptions options = new SessionOptions()) {
      configure(options, provider, threads);
      session = ENVIRONMENT.createSession(onnx, options);
    } catch (OrtException e) {
      throw failure(bundle.folder(), "refuses", e);
    }
    try {
      checkSignature(session, bundle);
      OnnxGenerator generator = new OnnxGenerator(session, bundle, provider, maxBatch);
      generator.warm();
      return generator;
    } catch (OrtException e) {
      closeAfter(session, e);
      throw failure(bundle.folder(), "cannot run", e);
    } catch (IOException | RuntimeException | Error e) {
      // Errors too: there may be no direct memory left, and the watcher will come again.
      closeAfter(session, e);
      throw e;
    }
  }

  /** A model as its own tensors tell: for versions that have no manifest. */
  static ModelManifest describe(Path folder, byte[] onnx) throws IOException {
    return signature(folder, onnx).toManifest();
  }

  /**
   * What goes into a model and comes out of it.
   *
   * @throws InvalidModelException not one float latent goes in, or no images come out
   */
  static Signature signature(Path folder, byte[] onnx) throws IOException {
    try (SessionOptions options = new SessionOptions()) {
      configure(options, Provider.CPU, 1);
      options.setOptimizationLevel(SessionOptions.OptLevel.NO_OPT);
      try (OrtSession session = ENVIRONMENT.createSession(onnx, options)) {
        return signature(folder, session);
      }
    } catch (OrtException e) {
      throw failure(folder, "refuses", e);
    }
  }

  private static Signature signature(Path folder, OrtSession session)
      throws OrtException, InvalidModelException {
    Map<String, NodeInfo> inputs = session.getInputInfo();
    String input = inputs.size() == 1 ? inputs.keySet().iterator().next() : "";
    long[] latent = dimensions(inputs.get(input), OnnxJavaType.FLOAT);
    boolean fourDimensional = latent.length == 4 && latent[2] == 1 && latent[3] == 1;
    if (!(fourDimensional || latent.length == 2) || latent[0] != -1 || latent[1] < 1) {
      throw new InvalidModelException(
          "%s: inputs %s; expected one, FLOAT (-1, latent) or (-1, latent, 1, 1)"
              .formatted(folder, tensors(inputs)));
    }
    Map<String, NodeInfo> outputs = session.getOutputInfo();
    String image = null;
    String pixels = null;
    long[] hwc = {};
    for (Map.Entry<String, NodeInfo> output : outputs.entrySet()) {
      long[] floats = dimensions(output.getValue(), OnnxJavaType.FLOAT);
      long[] bytes = dimensions(output.getValue(), OnnxJavaType.UINT8);
      if (floats.length == 4 && image == null) {
        image = output.getKey();
        hwc = pixels == null ? new long[] {floats[2], floats[3], floats[1]} : hwc;
      } else if (bytes.length == 4 && pixels == null) {
        pixels = output.getKey();
        hwc = new long[] {bytes[1], bytes[2], bytes[3]};
      }
    }
    try {
      ImageShape shape = new ImageShape(side(hwc, 0), side(hwc, 1), side(hwc, 2));
      return new Signature(
          input, Math.toIntExact(latent[1]), fourDimensional, shape, image, pixels);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new InvalidModelException(
          "%s: outputs %s; expected images, FLOAT (-1, channels, height, width) or UINT8 (-1, height, width, channels): %s"
              .formatted(folder, tensors(outputs), e.getMessage()),
          e);
    }
  }

  private static int side(long[] dimensions, int i) {
    return dimensions.length == 0 ? 0 : Math.toIntExact(dimensions[i]);
  }

  /** Of a tensor of that type; empty where it is none. */
  private static long[] dimensions(@Nullable NodeInfo node, OnnxJavaType type) {
    return node != null && node.getInfo() instanceof TensorInfo tensor && tensor.type == type
        ? tensor.getShape()
        : new long[0];
  }

  private static String tensors(Map<String, NodeInfo> nodes) {
    return nodes.values().stream()
        .map(
            node ->
                node.getInfo() instanceof TensorInfo tensor
                    ? "'%s' %s (%s)".formatted(node.getName(), tensor.type, join(tensor.getShape()))
                    : "'" + node.getName() + "'")
        .toList()
        .toString();
  }

  /** Invalid for good, or, where memory was short, an ordinary failure: that may pass. */
  static IOException failure(Path folder, String does, OrtException e) {
    String message =
        "%s: ONNX Runtime %s it: %s".formatted(folder, does, String.valueOf(e.getMessage()));
    return isOutOfMemory(e) ? new IOException(message, e) : new InvalidModelException(message, e);
  }

  /** By the words: ONNX Runtime has no code for it. */
  private static boolean isOutOfMemory(OrtException e) {
    String message = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
    return message.contains("failed to allocate memory")
        || message.contains("out of memory")
        || message.contains("bad_alloc")
        || message.contains("bad allocation");
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

  /** A model, but no generator. */
  static byte[] probe() {
    return PROBE.clone();
  }

  /** Runs a convolution of four numbers with themselves. */
  static float[] runProbe(Provider provider) throws OrtException {
    try (SessionOptions options = new SessionOptions()) {
      configure(options, provider, 1);
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
  public void run(List<Slice> batch) {
    int n = batch.stream().mapToInt(Slice::count).sum();
    int padded = provider == Provider.CUDA ? bucket(n) : n;
    var latents = z.clear().asFloatBuffer();
    batch.forEach(slice -> slice.putLatents(latents));
    latents.put(new float[(padded - n) * latentSize]);
    List<Output> outputs = batch.stream().map(Slice::output).distinct().toList();
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

  /** Runs the first n latents of {@link #z} into the first n images. */
  private void run(int n, List<Output> outputs) throws OrtException {
    Map<String, OnnxValue> pinned = new HashMap<>();
    try (OnnxTensor input =
        OnnxTensor.createTensor(
            ENVIRONMENT, z.clear().asFloatBuffer().limit(n * latentSize), batchOf(n, latentSize))) {
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

  private void warm() throws OrtException {
    for (int n = 1; n < maxBatch && provider == Provider.CUDA; n *= 2) {
      run(n, List.of(Output.values()));
    }
    run(maxBatch, List.of(Output.values()));
  }

  /** The next power of two, or maxBatch where that is less. */
  private int bucket(int n) {
    return Math.min(maxBatch, n == 1 ? 1 : Integer.highestOneBit(n - 1) << 1);
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

  private static void configure(SessionOptions options, Provider provider, int threads)
      throws OrtException {
    options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
    options.setInterOpNumThreads(1);
    options.setIntraOpNumThreads(threads);
    if (provider == Provider.CUDA) {
      addCuda(options);
    }
  }

  /**
   * Options of the CUDA execution provider: the same image must come out the same, and memory must
   * not double whenever it grows.
   */
  private static void addCuda(SessionOptions options) throws OrtException {
    try (OrtCUDAProviderOptions cuda = new OrtCUDAProviderOptions(0)) {
      cuda.add("cudnn_conv_algo_search", "HEURISTIC");
      cuda.add("arena_extend_strategy", "kSameAsRequested");
      cuda.add("use_tf32", "0");
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
