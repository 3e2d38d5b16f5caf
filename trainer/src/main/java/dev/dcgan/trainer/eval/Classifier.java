package dev.dcgan.trainer.eval;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalDouble;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A feature extractor and classifier for a labelled dataset: a small network that is trained once
 * per dataset and cached in a file.
 *
 * <p>Training is reproducible: the same images and labels give the same classifier. Only one thread
 * of a process may train at a time because the engine has one gradient collector.
 */
final class Classifier implements FeatureExtractor {

  private static final Logger log = LoggerFactory.getLogger(Classifier.class);

  // Eight epochs over a small dataset; the maximum is two epochs over MNIST.
  private static final int MIN_STEPS = 50;
  private static final int EPOCHS = 8;
  private static final int MAX_STEPS = 1000;
  private static final int BATCH_SIZE = 128;
  private static final int MAX_TEST_IMAGES = 10_000;
  private static final float LEARNING_RATE = 0.1f;
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
      Runnable onProgress)
      throws IOException {
    this.manager = manager;
    this.network = network;
    name = "classifier of " + training.name();
    shape = training.shape();
    accuracy = measureAccuracy(heldOut, onProgress);
  }

  /**
   * Reads the classifier of these training images from {@code <cache>/<dataset's
   * sha256>-<format>.safetensors}; if there is none, or it is not usable, trains it and writes it
   * there.
   *
   * @param onProgress called for each batch of training and of testing
   * @throws IOException if the images have no labels, the held-out images have other classes or
   *     another shape, or images cannot be read
   */
  static Classifier open(
      Path cache,
      ImageDataset training,
      ImageDataset heldOut,
      TrainingDevice device,
      Runnable onProgress)
      throws IOException {
    int steps = Math.max(MIN_STEPS, EPOCHS * training.size() / BATCH_SIZE);
    return open(cache, training, heldOut, device, Math.min(steps, MAX_STEPS), onProgress);
  }

  static Classifier open(
      Path cache,
      ImageDataset training,
      ImageDataset heldOut,
      TrainingDevice device,
      int steps,
      Runnable onProgress)
      throws IOException {
    requireLabels(training, heldOut);
    ClassifierFile file = new ClassifierFile(cache, training);
    NDManager manager = NDManager.newBaseManager(device.device());
    try {
      ClassifierNetwork network =
          new ClassifierNetwork(manager, training.shape(), training.classes());
      if (!file.restore(network)) {
        log.info(
            "training the classifier of {}: steps={} batch_size={}",
            training.name(),
            steps,
            BATCH_SIZE);
        network.initialize(SEED);
        train(network, manager, training, steps, onProgress);
        file.save(network);
      }
      Classifier classifier = new Classifier(manager, network, training, heldOut, onProgress);
      log.info(
          "{}: accuracy={} held_out_images={} file={}",
          classifier.name,
          Double.isNaN(classifier.accuracy)
              ? "unknown (no held-out image has a label)"
              : "%.4f".formatted(classifier.accuracy),
          Math.min(heldOut.size(), MAX_TEST_IMAGES),
          file.path());
      return classifier;
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  private static void requireLabels(ImageDataset training, ImageDataset heldOut)
      throws IOException {
    if (training.classes() < 2) {
      throw new IOException(
          "cannot train a classifier: %s has labels of %d classes; expected at least 2, or --features <model.onnx>"
              .formatted(training.name(), training.classes()));
    }
    if (heldOut.classes() != training.classes() || !heldOut.shape().equals(training.shape())) {
      throw new IOException(
          "cannot train a classifier: %s has images of %s in %d classes; expected held-out images of the same, not of %s in %d"
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
      Runnable onProgress)
      throws IOException {
    int[] order = {};
    int next = 0;
    int epoch = 0;
    int[] batch = new int[BATCH_SIZE];
    int[] labels = new int[BATCH_SIZE];
    for (int step = 0; step < steps; step++) {
      for (int i = 0; i < BATCH_SIZE; i++) {
        if (next == order.length) {
          order = ImageBatches.permutation(data.size(), epoch++);
          next = 0;
        }
        batch[i] = order[next++];
        labels[i] = data.label(batch[i]);
      }
      float learningRate = LEARNING_RATE * (steps - step) / steps;
      network.trainStep(
          manager, ImageBatches.pixels(data, batch, 0, BATCH_SIZE), labels, learningRate);
      onProgress.run();
    }
  }

  private double measureAccuracy(ImageDataset heldOut, Runnable onProgress) throws IOException {
    int[] order = ImageBatches.permutation(heldOut.size(), SEED);
    int count = Math.min(heldOut.size(), MAX_TEST_IMAGES);
    int correct = 0;
    int labelled = 0; // held-out images may have no labels
    for (int first = 0; first < count; first += BATCH_SIZE) {
      int n = Math.min(BATCH_SIZE, count - first);
      Matrix probabilities = run(ImageBatches.pixels(heldOut, order, first, n), n).probabilities;
      onProgress.run();
      for (int i = 0; i < n; i++) {
        int label = heldOut.label(order[first + i]);
        labelled += label >= 0 ? 1 : 0;
        correct += ClassMetrics.argMax(probabilities, i) == label ? 1 : 0;
      }
    }
    return labelled == 0 ? Double.NaN : (double) correct / labelled;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public OptionalDouble accuracy() {
    return Double.isNaN(accuracy) ? OptionalDouble.empty() : OptionalDouble.of(accuracy);
  }

  /**
   * The 128 features and the class probabilities.
   *
   * @throws IllegalArgumentException if the images have another shape than the training images
   */
  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) {
    if (!shape.equals(this.shape)) {
      throw new IllegalArgumentException(
          "images of %s; expected %s as the %s was trained on".formatted(shape, this.shape, name));
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
