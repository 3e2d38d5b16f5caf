package dev.dcgan.trainer.eval;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Sha256;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The features and classes of labelled pictures, by a small network that is trained once per
 * dataset and kept in a file.
 *
 * <p>The same pictures give the same classifier. Training collects gradients, which one thread of a
 * process may do at a time.
 */
public final class Classifier implements FeatureExtractor {

  private static final Logger log = LoggerFactory.getLogger("evaluate");

  private static final SafetensorsFile FORMAT = new SafetensorsFile("classifier", 1);
  private static final String LABELS = "labels_sha256";
  // Eight passes over few pictures; the maximum is two over MNIST.
  private static final int MIN_STEPS = 50;
  private static final int PASSES = 8;
  private static final int MAX_STEPS = 1000;
  private static final int BATCH = 128;
  private static final int MAX_HELD_OUT = 10_000;
  private static final float RATE = 0.1f;
  private static final long SEED = 0;

  private final NDManager manager;
  private final ClassifierNetwork network;
  private final String name;
  private final ImageShape shape;
  private final double accuracy;

  private Classifier(
      NDManager manager,
      ClassifierNetwork network,
      ImageDataset training,
      ImageDataset heldOut,
      Runnable progressed)
      throws IOException {
    this.manager = manager;
    this.network = network;
    name = "classifier of " + training.name();
    shape = training.shape();
    accuracy = accuracyOn(heldOut, progressed);
  }

  /**
   * Reads the classifier of these training pictures from {@code <cache>/<dataset's
   * sha256>-<format>.safetensors}; where there is none, or none that can be used, trains it and
   * writes it there.
   *
   * @param progressed told of each batch that it learnt from or was tried on
   * @throws IOException pictures without labels, held-out ones of another kind, or pictures or a
   *     file that cannot be read
   */
  public static Classifier open(
      Path cache,
      ImageDataset training,
      ImageDataset heldOut,
      TrainingDevice device,
      Runnable progressed)
      throws IOException {
    int steps = Math.max(MIN_STEPS, PASSES * training.size() / BATCH);
    return open(cache, training, heldOut, device, Math.min(steps, MAX_STEPS), progressed);
  }

  static Classifier open(
      Path cache,
      ImageDataset training,
      ImageDataset heldOut,
      TrainingDevice device,
      int steps,
      Runnable progressed)
      throws IOException {
    requireLabels(training, heldOut);
    Path file = cache.resolve("%s-%d.safetensors".formatted(training.sha256(), FORMAT.version()));
    NDManager manager = NDManager.newBaseManager(device.device());
    try {
      ClassifierNetwork network =
          new ClassifierNetwork(manager, training.shape(), training.classes());
      if (!restore(file, network, training)) {
        log.info(
            "training a classifier of {}, once: {} steps of {} pictures",
            training.name(),
            steps,
            BATCH);
        network.draw(SEED);
        train(network, manager, training, steps, progressed);
        keep(file, network, training);
      }
      Classifier classifier = new Classifier(manager, network, training, heldOut, progressed);
      log.info(
          "{}: {} right of {} held-out pictures, in {}",
          classifier.name,
          "%.2f %%".formatted(100 * classifier.accuracy),
          Math.min(heldOut.size(), MAX_HELD_OUT),
          file);
      return classifier;
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** Written or not, it serves: a full disk costs another training, not the measurement. */
  private static void keep(Path file, ClassifierNetwork network, ImageDataset training) {
    try {
      write(file, network, training);
    } catch (IOException e) {
      log.warn("the classifier cannot be kept in {} ({})", file, e.toString());
    }
  }

  private static void requireLabels(ImageDataset training, ImageDataset heldOut)
      throws IOException {
    if (training.classes() < 2) {
      throw new IOException(
          "%s has labels of %d classes; a classifier takes at least 2: give --features <model.onnx>"
              .formatted(training.name(), training.classes()));
    }
    if (heldOut.classes() != training.classes() || !heldOut.shape().equals(training.shape())) {
      throw new IOException(
          "%s has pictures of %s in %d classes, the held-out ones are of %s in %d"
              .formatted(
                  training.name(),
                  training.shape(),
                  training.classes(),
                  heldOut.shape(),
                  heldOut.classes()));
    }
  }

  private static void train(
      ClassifierNetwork network,
      NDManager manager,
      ImageDataset data,
      int steps,
      Runnable progressed)
      throws IOException {
    int[] order = {};
    int next = 0;
    int epoch = 0;
    int[] batch = new int[BATCH];
    int[] labels = new int[BATCH];
    for (int step = 0; step < steps; step++) {
      for (int i = 0; i < BATCH; i++) {
        if (next == order.length) {
          order = PixelBlocks.order(data.size(), epoch++);
          next = 0;
        }
        batch[i] = order[next++];
        labels[i] = data.label(batch[i]);
      }
      float rate = RATE * (steps - step) / steps;
      network.learn(manager, PixelBlocks.pixels(data, batch, 0, BATCH), labels, rate);
      progressed.run();
    }
  }

  private static boolean restore(Path file, ClassifierNetwork network, ImageDataset data)
      throws IOException {
    if (!Files.exists(file)) {
      return false;
    }
    try {
      SafetensorsFile.Content content = FORMAT.read(file);
      if (!labels(data).equals(content.metadata().get(LABELS))) {
        log.warn("{} is of other labels for the same pictures: training anew", file);
        return false;
      }
      assign(file, network, content.tensors());
      return true;
    } catch (IOException e) {
      log.warn("{}: training anew", e.getMessage());
      return false;
    }
  }

  private static void assign(Path file, ClassifierNetwork network, Map<String, Tensor> tensors)
      throws IOException {
    for (Map.Entry<String, NDArray> entry : network.arrays().entrySet()) {
      Tensor tensor = tensors.get(entry.getKey());
      NDArray array = entry.getValue();
      if (tensor == null || !tensor.fits(array)) {
        throw new IOException(
            "%s lacks %s of shape %s".formatted(file, entry.getKey(), array.getShape()));
      }
      tensor.copyTo(array);
    }
  }

  private static void write(Path file, ClassifierNetwork network, ImageDataset data)
      throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    network.arrays().forEach((name, array) -> tensors.put(name, Tensor.of(array)));
    Files.createDirectories(file.toAbsolutePath().getParent());
    FORMAT.write(
        file,
        new SafetensorsFile.Content(Map.of("dataset", data.name(), LABELS, labels(data)), tensors));
  }

  /** A digest of the labels alone: the dataset's is of its pixels. */
  private static String labels(ImageDataset data) {
    ByteBuffer labels = ByteBuffer.allocate(data.size() * Integer.BYTES + Integer.BYTES);
    labels.putInt(data.classes());
    for (int i = 0; i < data.size(); i++) {
      labels.putInt(data.label(i));
    }
    return new Sha256().add(labels.flip()).hex();
  }

  private double accuracyOn(ImageDataset heldOut, Runnable progressed) throws IOException {
    int[] order = PixelBlocks.order(heldOut.size(), SEED);
    int count = Math.min(heldOut.size(), MAX_HELD_OUT);
    int right = 0;
    for (int first = 0; first < count; first += BATCH) {
      int n = Math.min(BATCH, count - first);
      Matrix probabilities = run(PixelBlocks.pixels(heldOut, order, first, n), n).probabilities;
      progressed.run();
      for (int i = 0; i < n; i++) {
        if (ClassFigures.likeliest(probabilities, i) == heldOut.label(order[first + i])) {
          right++;
        }
      }
    }
    return (double) right / count;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public OptionalDouble accuracy() {
    return OptionalDouble.of(accuracy);
  }

  /**
   * The 128 features and the class probabilities.
   *
   * @throws IllegalArgumentException pictures of another shape than it was trained on
   */
  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) {
    if (!shape.equals(this.shape)) {
      throw new IllegalArgumentException(
          "pictures of %s for a %s of %s".formatted(shape, name, this.shape));
    }
    Output output = run(pixels, n);
    return new Features(output.features, output.probabilities);
  }

  private record Output(Matrix features, Matrix probabilities) {}

  private Output run(byte[] pixels, int n) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray features = network.features(scope, pixels, n, false); // (n, 128)
      NDArray probabilities = network.logits(features, false).softmax(1); // (n, classes)
      return new Output(matrix(features), matrix(probabilities));
    }
  }

  private static Matrix matrix(NDArray array) {
    return new Matrix(
        (int) array.getShape().get(0), (int) array.getShape().get(1), HostCopies.floats(array));
  }

  @Override
  public void close() {
    manager.close();
  }
}
