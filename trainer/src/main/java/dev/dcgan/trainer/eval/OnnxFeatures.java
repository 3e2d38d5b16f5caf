package dev.dcgan.trainer.eval;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import dev.dcgan.model.ImageShape;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.eval.ImagePreprocessor.Range;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/**
 * Features computed by an ONNX model, for example an export of Inception.
 *
 * <p>The model has one input, float or uint8, (N, C, H, W) or (N, H, W, C) with C 1 or 3. Its first
 * output of shape float (N, d), (N, d, 1, 1) or (N, 1, 1, d) gives the features. N, H and W may be
 * dynamic, and C if another dimension tells the layout. Images of another size are resized
 * bilinearly (half-pixel centers, no antialiasing); grey is repeated in three channels, and RGB
 * converted to luma (Rec. 601). The range of values is that of the option, else what the model's
 * metadata has as {@code normalization}, else [0, 255] for uint8 and [-1, 1] for float.
 */
final class OnnxFeatures implements FeatureExtractor {

  // Both spellings, because models have the one or the other.
  private static final List<String> NORMALIZATION = List.of("normalization", "normalisation");
  private static final int DYNAMIC = -1;

  // 16 MiB of input per run: a large model's activations take much more.
  private static final int MAX_RUN_VALUES = 1 << 22;

  /** A range and where it comes from, for the log. */
  private record ChosenRange(Range range, String source) {}

  private record Input(
      String name,
      boolean isBytes,
      boolean isChannelsLast,
      int batch,
      int channels,
      int height,
      int width,
      ChosenRange values) {

    @Override
    public String toString() {
      String size = "%s x %s".formatted(any(height), any(width));
      return "input '%s' %s %s, %s channels, %s pixels, batch %s, values %s (%s)"
          .formatted(
              name,
              isBytes ? "uint8" : "float",
              isChannelsLast ? "NHWC" : "NCHW",
              any(channels),
              size,
              any(batch),
              values.range.label(),
              values.source);
    }

    private static String any(int dimension) {
      return dimension == DYNAMIC ? "any" : Integer.toString(dimension);
    }
  }

  // One run takes seconds. A graph that takes longer holds the training and the queue meanwhile.
  private static final Duration MAX_RUN_TIME = Duration.ofMinutes(10);

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final Path file;
  private final Input input;
  private final String output;
  private final Duration maxRunTime;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Threads.named("features"));

  private OnnxFeatures(
      OrtEnvironment environment,
      OrtSession session,
      Path file,
      Input input,
      String output,
      Duration maxRunTime) {
    this.environment = environment;
    this.session = session;
    this.file = file;
    this.input = input;
    this.output = output;
    this.maxRunTime = maxRunTime;
  }

  /**
   * Opens a model.
   *
   * @param range the name of the range of values that it expects; empty: that of its metadata, else
   *     the default of its type
   * @throws IOException if {@link FeatureGraph} refuses it, ONNX Runtime cannot load it, or its
   *     inputs, outputs or metadata are not as described above; the message names the file
   */
  static OnnxFeatures open(Path file, String range) throws IOException {
    return open(file, range, MAX_RUN_TIME);
  }

  /** As {@link #open(Path, String)}; each run may take so long. */
  static OnnxFeatures open(Path file, String range, Duration maxRunTime) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          "cannot open " + file + ": it does not exist; expected an ONNX model of features");
    }
    FeatureGraph.require(file);
    // The environment is shared by the process and outlives every session.
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      // It would compute all that depends on no input while the session is created, which nothing
      // can end.
      options.addConfigEntry("optimization.disable_specified_optimizers", "ConstantFolding");
      OrtSession session = environment.createSession(file.toString(), options);
      try {
        Input input = input(file, session, range);
        return new OnnxFeatures(
            environment, session, file, input, output(file, session), maxRunTime);
      } catch (IOException | OrtException | RuntimeException e) {
        session.close();
        throw e;
      }
    } catch (OrtException e) {
      throw new IOException("cannot load " + file + ": " + e.getMessage(), e);
    }
  }

  private static Input input(Path file, OrtSession session, String range)
      throws IOException, OrtException {
    Map<String, NodeInfo> inputs = session.getInputInfo();
    if (inputs.size() == 1) {
      NodeInfo node = inputs.values().iterator().next();
      if (node.getInfo() instanceof TensorInfo tensor
          && (tensor.type == OnnxJavaType.FLOAT || tensor.type == OnnxJavaType.UINT8)
          && tensor.getShape().length == 4) {
        long[] dims = tensor.getShape();
        int channels = channelAxis(file, tensor);
        if (channels > 0) {
          boolean isLast = channels == 3;
          boolean isBytes = tensor.type == OnnxJavaType.UINT8;
          return new Input(
              node.getName(),
              isBytes,
              isLast,
              (int) dims[0],
              (int) dims[channels],
              (int) dims[isLast ? 1 : 2],
              (int) dims[isLast ? 2 : 3],
              range(file, session, range, isBytes));
        }
      }
    }
    throw new IOException(
        "cannot use %s: its inputs are %s; expected one input, float (N, C, H, W), (N, H, W, C) or uint8 of such a shape, with C 1 or 3"
            .formatted(file, describe(inputs)));
  }

  /**
   * The axis of the channels: 1 or 3; 0 if there is none.
   *
   * @throws IOException if it can be either
   */
  private static int channelAxis(Path file, TensorInfo tensor) throws IOException {
    long[] dims = tensor.getShape();
    if (isChannels(dims[1])) {
      return 1;
    }
    if (isChannels(dims[3])) {
      return 3;
    }
    if (dims[1] != DYNAMIC || dims[3] != DYNAMIC) {
      // The axis that is fixed has too many values for channels.
      return dims[1] == DYNAMIC ? 1 : dims[3] == DYNAMIC ? 3 : 0;
    }
    String[] names = tensor.getDimensionNames();
    if (namesChannels(names[1]) != namesChannels(names[3])) {
      return namesChannels(names[1]) ? 1 : 3;
    }
    throw new IOException(
        "cannot use %s: its input %s may be (N, C, H, W) or (N, H, W, C); expected a fixed number of channels: export it again with one, or with a dimension named 'channels'"
            .formatted(file, Arrays.toString(dims)));
  }

  private static boolean isChannels(long dimension) {
    return dimension == 1 || dimension == 3;
  }

  private static boolean namesChannels(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    return lower.equals("c") || lower.contains("channel");
  }

  private static ChosenRange range(Path file, OrtSession session, String requested, boolean isBytes)
      throws IOException, OrtException {
    Map<String, String> metadata = session.getMetadata().getCustomMetadata();
    ChosenRange chosen =
        new ChosenRange(
            isBytes ? Range.BYTE : Range.SIGNED,
            "assumed, --features-range and metadata name none");
    for (String key : NORMALIZATION) {
      String name = metadata.get(key);
      if (name != null) {
        chosen = new ChosenRange(named(file, "its metadata has " + key, name), "of its metadata");
      }
    }
    if (!requested.isEmpty()) {
      chosen = new ChosenRange(named(file, "--features-range is", requested), "--features-range");
    }
    if (isBytes && chosen.range != Range.BYTE) {
      throw new IOException(
          "cannot use %s: its input is uint8 and its values are to be %s (%s); expected %s"
              .formatted(file, chosen.range.label(), chosen.source, Range.BYTE.label()));
    }
    return chosen;
  }

  private static Range named(Path file, String what, String name) throws IOException {
    return Range.named(name)
        .orElseThrow(
            () ->
                new IOException(
                    "cannot use %s: %s '%s'; expected %s or none"
                        .formatted(file, what, name, Range.labels())));
  }

  private static String output(Path file, OrtSession session) throws IOException, OrtException {
    Map<String, NodeInfo> outputs = session.getOutputInfo();
    return outputs.values().stream()
        .filter(OnnxFeatures::isFeatures)
        .findFirst()
        .map(NodeInfo::getName)
        .orElseThrow(
            () ->
                new IOException(
                    "cannot use %s: its outputs are %s; expected features, float (N, d), (N, d, 1, 1) or (N, 1, 1, d): pool or flatten a feature map"
                        .formatted(file, describe(outputs))));
  }

  private static boolean isFeatures(NodeInfo node) {
    if (!(node.getInfo() instanceof TensorInfo tensor) || tensor.type != OnnxJavaType.FLOAT) {
      return false;
    }
    long[] dims = tensor.getShape();
    return dims.length == 2
        || (dims.length == 4
            && (Math.max(dims[2], dims[3]) <= 1 || Math.max(dims[1], dims[2]) <= 1));
  }

  private static String describe(Map<String, NodeInfo> nodes) {
    return nodes.values().stream()
        .map(
            node ->
                node.getInfo() instanceof TensorInfo tensor
                    ? "'%s' of %s %s"
                        .formatted(node.getName(), tensor.type, Arrays.toString(tensor.getShape()))
                    : "'" + node.getName() + "', not a tensor")
        .collect(Collectors.joining(" and "));
  }

  /**
   * Runs a few different images, and says how the model was understood.
   *
   * @param pixels uint8 (n, height, width, channels)
   * @return one line for the log
   * @throws IOException if the model fails, its features are not finite, or they are the same for
   *     images that differ
   */
  String check(byte[] pixels, int n, ImageShape shape) throws IOException {
    Matrix features = extract(pixels, n, shape).values();
    if (sameRows(features) && !sameImages(pixels, shape.values())) {
      throw new IOException(
          "cannot use %s: it gives the same %d features for %d different images; check --features-range, now %s, and its output '%s'"
              .formatted(file, features.columns(), n, input.values.range.label(), output));
    }
    return "features of %s: %s; output '%s' of %d, %d features"
        .formatted(file, input, output, session.getNumOutputs(), features.columns());
  }

  private static boolean sameRows(Matrix matrix) {
    float[] values = matrix.values();
    for (int i = matrix.columns(); i < values.length; i++) {
      if (values[i] != values[i - matrix.columns()]) {
        return false;
      }
    }
    return true;
  }

  private static boolean sameImages(byte[] pixels, int size) {
    return Arrays.equals(pixels, size, pixels.length, pixels, 0, pixels.length - size);
  }

  @Override
  public String name() {
    return file.getFileName().toString();
  }

  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) throws IOException {
    int channels = input.channels == DYNAMIC ? shape.channels() : input.channels;
    int height = input.height == DYNAMIC ? shape.height() : input.height;
    int width = input.width == DYNAMIC ? shape.width() : input.width;
    ImageShape target = new ImageShape(height, width, channels);
    int batch =
        input.batch == DYNAMIC
            ? Math.max(1, Math.min(n, MAX_RUN_VALUES / target.values()))
            : input.batch;
    List<Matrix> features = new ArrayList<>();
    for (int first = 0; first < n; first += batch) {
      int last = Math.min(first + batch, n);
      byte[] part = Arrays.copyOfRange(pixels, first * shape.values(), last * shape.values());
      float[] images =
          ImagePreprocessor.convert(part, last - first, shape, target, input.values.range);
      if (input.isChannelsLast) {
        images = ImagePreprocessor.channelsLast(images, last - first, target);
      }
      // A model with a fixed batch size gets its last batch padded with zeros.
      int rows = input.batch == DYNAMIC ? last - first : batch;
      features.add(
          run(Arrays.copyOf(images, rows * target.values()), rows, target).first(last - first));
    }
    return new Features(Matrix.stack(features), null);
  }

  private Matrix run(float[] images, int n, ImageShape shape) throws IOException {
    long[] dims =
        input.isChannelsLast
            ? new long[] {n, shape.height(), shape.width(), shape.channels()}
            : new long[] {n, shape.channels(), shape.height(), shape.width()};
    try (OrtSession.RunOptions options = new OrtSession.RunOptions();
        OnnxTensor tensor = tensor(images, dims);
        OrtSession.Result result = run(tensor, options, n)) {
      OnnxTensor features = (OnnxTensor) result.get(0);
      long[] found = features.getInfo().getShape();
      float[] values = features.getFloatBuffer().array();
      long axes = Arrays.stream(found).skip(1).filter(dimension -> dimension != 1).count();
      if (found.length < 2 || found[0] != n || axes > 1 || values.length == 0) {
        throw new IOException(
            "cannot use %s: it returns features %s for %d images; expected (N, d), (N, d, 1, 1) or (N, 1, 1, d): pool or flatten a feature map"
                .formatted(file, Arrays.toString(found), n));
      }
      for (float value : values) {
        if (!Float.isFinite(value)) {
          throw new IOException(
              "cannot use %s: it returns a feature of %s; expected finite ones: check --features-range, now %s"
                  .formatted(file, value, input.values.range.label()));
        }
      }
      return new Matrix(n, values.length / n, values);
    } catch (OrtException e) {
      throw new IOException(
          "cannot run %s on images %s: %s".formatted(file, Arrays.toString(dims), e.getMessage()),
          e);
    }
  }

  /**
   * Runs the model on a thread of its own, so that the run can be ended: if the current thread is
   * interrupted, or after {@link #maxRunTime}.
   */
  private OrtSession.Result run(OnnxTensor tensor, OrtSession.RunOptions options, int n)
      throws IOException, OrtException {
    CompletableFuture<OrtSession.Result> running = new CompletableFuture<>();
    thread.execute(
        () -> {
          try {
            running.complete(session.run(Map.of(input.name, tensor), Set.of(output), options));
          } catch (OrtException | RuntimeException | Error e) {
            running.completeExceptionally(e);
          }
        });
    try {
      return running.get(maxRunTime.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      terminate(running, options);
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while " + file + " ran");
    } catch (TimeoutException e) {
      terminate(running, options);
      throw new IOException(
          "cannot use %s: it ran for more than %d s on %d images; expected a smaller model"
              .formatted(file, maxRunTime.toSeconds(), n),
          e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof OrtException failed) {
        throw failed;
      }
      throw new IllegalStateException("cannot run " + file, e.getCause());
    }
  }

  /** Makes a run end after its current operator, and waits for that: it uses the tensors. */
  private static void terminate(
      CompletableFuture<OrtSession.Result> running, OrtSession.RunOptions options)
      throws OrtException {
    options.setTerminate(true);
    var unused =
        running
            .handle(
                (result, failure) -> {
                  if (result != null) {
                    result.close();
                  }
                  return "";
                })
            .join();
  }

  private OnnxTensor tensor(float[] images, long[] dims) throws OrtException {
    if (!input.isBytes) {
      return OnnxTensor.createTensor(environment, FloatBuffer.wrap(images), dims);
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(images.length).order(ByteOrder.nativeOrder());
    for (float value : images) {
      bytes.put((byte) Math.round(value));
    }
    return OnnxTensor.createTensor(environment, bytes.flip(), dims, OnnxJavaType.UINT8);
  }

  @Override
  public void close() {
    thread.shutdown();
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("cannot close " + file + ": " + e.getMessage(), e);
    }
  }
}
