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
import dev.dcgan.model.ModelFile;
import dev.dcgan.model.Pixels;
import dev.dcgan.sampler.batch.Failure;
import dev.dcgan.sampler.batch.Network;
import dev.dcgan.sampler.batch.Output;
import dev.dcgan.sampler.batch.Slice;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

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

  private final Session session;
  private final Signature tensors;
  private final Provider provider;
  private final int maxBatch;
  private final int latentSize;
  private final ImageShape shape;
  private final FloatBuffer latents;
  private final ByteBuffer pixels;
  private final ByteBuffer floats;

  /** Takes over a use of the session, also where it throws. */
  private OnnxGenerator(Session session, Provider provider, int maxBatch) throws IOException {
    this.session = session;
    this.tensors = session.tensors;
    this.provider = provider;
    this.maxBatch = maxBatch;
    this.latentSize = tensors.latentSize();
    this.shape = tensors.shape();
    try {
      this.latents = buffer(latentSize * Float.BYTES).asFloatBuffer();
      this.pixels = buffer(imageBytes(Output.PIXELS));
      this.floats = buffer(imageBytes(Output.FLOATS));
    } catch (IOException | RuntimeException | Error e) {
      session.release();
      throw e;
    }
  }

  /**
   * Opens a version, and compares its signature with its manifest.
   *
   * @param maxBatch images in the largest batch
   * @param count of networks that may run side by side. On the CPU they share their weights; on a
   *     GPU each has a stream of its own
   * @throws InvalidModelException ONNX Runtime refuses the model, or it is not what its manifest
   *     says
   * @throws IOException the version cannot be read
   */
  public static List<Network> open(ModelBundle bundle, Settings settings, int maxBatch, int count)
      throws IOException {
    ModelFile onnx = bundle.openModel();
    onnx.requireSelfContained();
    List<Network> networks = new ArrayList<>();
    try {
      Session session = Session.open(bundle, onnx, settings);
      networks.add(new OnnxGenerator(session, settings.provider, maxBatch));
      while (networks.size() < count) {
        if (settings.provider == Provider.CPU) {
          session.users.incrementAndGet();
        } else {
          session = Session.open(bundle, onnx, settings);
        }
        networks.add(new OnnxGenerator(session, settings.provider, maxBatch));
      }
      onnx.requireUnchanged();
      return networks;
    } catch (IOException | RuntimeException | Error e) {
      // Errors too: there may be no direct memory left, and the watcher will come again.
      closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** Closes all, also where one fails; the first failure, with the later ones as suppressed. */
  static Optional<RuntimeException> closeAll(List<Network> networks) {
    RuntimeException first = null;
    for (Network network : networks) {
      try {
        network.close();
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      }
    }
    return Optional.ofNullable(first);
  }

  /**
   * A session of ONNX Runtime, for networks that run side by side: that is allowed.
   *
   * @param users that have not closed it
   */
  private record Session(OrtSession session, Signature tensors, AtomicInteger users) {

    static Session open(ModelBundle bundle, ModelFile onnx, Settings settings) throws IOException {
      OrtSession session;
      try (SessionOptions options = new SessionOptions()) {
        configure(options, settings);
        session = ENVIRONMENT.createSession(onnx.path().toString(), options);
      } catch (OrtException e) {
        throw failure(bundle.folder(), "refuses", e);
      }
      try {
        Signature tensors =
            bundle.unverified()
                ? signature(bundle.folder(), session)
                : checkedSignature(session, bundle);
        return new Session(session, tensors, new AtomicInteger(1));
      } catch (OrtException e) {
        closeAfter(session, e);
        throw failure(bundle.folder(), "cannot run", e);
      } catch (IOException | RuntimeException | Error e) {
        closeAfter(session, e);
        throw e;
      }
    }

    void release() {
      if (users.decrementAndGet() > 0) {
        return;
      }
      try {
        session.close();
      } catch (OrtException e) {
        throw new IllegalStateException("ONNX Runtime cannot close a session", e);
      }
    }
  }

  /** A model as its own tensors tell: for versions that have no manifest. */
  static ModelManifest describe(ModelFile onnx) throws IOException {
    onnx.requireSelfContained();
    return signature(onnx.path()).toManifest();
  }

  /**
   * What goes into a model and comes out of it.
   *
   * @throws InvalidModelException not one float latent goes in, or no images come out
   */
  static Signature signature(Path onnx) throws IOException {
    try (SessionOptions options = new SessionOptions()) {
      configure(options, new Settings(Provider.CPU, 1, false, 0));
      options.setOptimizationLevel(SessionOptions.OptLevel.NO_OPT);
      try (OrtSession session = ENVIRONMENT.createSession(onnx.toString(), options)) {
        return signature(onnx, session);
      }
    } catch (OrtException e) {
      throw failure(onnx, "refuses", e);
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
        hwc = new long[] {floats[2], floats[3], floats[1]};
      }
      if (bytes.length == 4 && pixels == null) {
        pixels = output.getKey();
      }
    }
    if (image == null) {
      throw new InvalidModelException(
          "%s: outputs %s; expected images, FLOAT (-1, channels, height, width)"
              .formatted(folder, tensors(outputs)));
    }
    if (!Arrays.equals(batchOf(-1, hwc), dimensions(outputs.get(pixels), OnnxJavaType.UINT8))) {
      pixels = null; // Of another shape: not the same images.
    }
    try {
      ImageShape shape = new ImageShape(side(hwc, 0), side(hwc, 1), side(hwc, 2));
      return new Signature(
          input, Math.toIntExact(latent[1]), fourDimensional, shape, image, pixels);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new InvalidModelException(
          "%s: outputs %s; expected images, FLOAT (-1, channels, height, width): %s"
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
    session.release();
  }

  /** Runs the first n latents into the first n images. */
  private void run(int n, Set<Output> outputs) throws OrtException {
    Map<String, OnnxValue> pinned = new HashMap<>();
    latents.clear().limit(n * latentSize);
    long[] dimensions =
        tensors.fourDimensional() ? new long[] {n, latentSize, 1, 1} : new long[] {n, latentSize};
    boolean toPixels = outputs.contains(Output.PIXELS) && tensors.pixels() == null;
    try (OnnxTensor input = OnnxTensor.createTensor(ENVIRONMENT, latents, dimensions)) {
      if (outputs.contains(Output.FLOATS) || toPixels) {
        pinned.put(tensors.image(), pinned(Output.FLOATS, OnnxJavaType.FLOAT, n));
      }
      if (outputs.contains(Output.PIXELS) && !toPixels) {
        pinned.put(tensors.pixels(), pinned(Output.PIXELS, OnnxJavaType.UINT8, n));
      }
      // Empty: nothing was allocated, the images are in the pinned tensors.
      session.session.run(Map.of(tensors.input(), input), pinned).close();
    } finally {
      pinned.values().forEach(OnnxValue::close);
    }
    if (toPixels) {
      float[] images = new float[n * shape.values()];
      memory(Output.FLOATS).asFloatBuffer().get(images);
      memory(Output.PIXELS).put(Pixels.of(images, shape));
    }
  }

  private OnnxTensor pinned(Output output, OnnxJavaType type, int n) throws OrtException {
    ByteBuffer into =
        memory(output).limit(n * imageBytes(output)).slice().order(ByteOrder.nativeOrder());
    return OnnxTensor.createTensor(ENVIRONMENT, into, batchOf(n, dimensions(output, shape)), type);
  }

  private ByteBuffer memory(Output output) {
    return (output == Output.PIXELS ? pixels : floats).clear().order(ByteOrder.nativeOrder());
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

  /** The tensors that a published version must have. */
  private static Signature checkedSignature(OrtSession session, ModelBundle bundle)
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
    return new Signature(
        LATENT,
        bundle.latentSize(),
        false,
        bundle.shape(),
        name(Output.FLOATS),
        name(Output.PIXELS));
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
