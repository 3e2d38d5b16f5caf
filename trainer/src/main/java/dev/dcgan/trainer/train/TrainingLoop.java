package dev.dcgan.trainer.train;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Pixels;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.net.Discriminator;
import dev.dcgan.trainer.net.Generator;
import dev.dcgan.trainer.train.TrainingObserver.Epoch;
import dev.dcgan.trainer.train.TrainingObserver.Figures;
import dev.dcgan.trainer.train.TrainingObserver.Step;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The recipe: per step the discriminator learns to tell a batch of pictures from a batch of fakes,
 * then the generator learns to fool it (Goodfellow et al. 2014, algorithm 1 with k = 1; Radford et
 * al. 2015).
 *
 * <p>On the CPU the same arguments give the same weights, bit for bit, with the same number of
 * threads. One loop at a time in a process: the engine collects one gradient at a time. Everything
 * runs on the caller's thread.
 */
public final class TrainingLoop {

  private static final int SHEET_IMAGES = 25;

  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final ImageDataset data;
  private final TrainingObserver observer;
  private final Checkpoint.Dataset dataset;
  private final Randomness randomness;

  /**
   * Prepares to train.
   *
   * @throws IOException the pictures are not of the architecture's shape, or too few for a batch
   */
  public TrainingLoop(
      Architecture architecture,
      Hyperparameters hyperparameters,
      ImageDataset data,
      TrainingObserver observer)
      throws IOException {
    requireFit(architecture, hyperparameters.batchSize(), data);
    this.architecture = architecture;
    this.hyperparameters = hyperparameters;
    this.data = data;
    this.observer = observer;
    dataset = new Checkpoint.Dataset(data.name(), data.sha256(), data.size());
    randomness = new Randomness(hyperparameters.seed());
  }

  /**
   * Checks that the pictures can be learnt from.
   *
   * @throws IOException they are not of the architecture's shape, or too few for a batch
   */
  public static void requireFit(Architecture architecture, int batchSize, ImageDataset data)
      throws IOException {
    if (!data.shape().equals(architecture.shape())) {
      throw new IOException(
          "%s has pictures of %s; %s is for %s"
              .formatted(data.name(), data.shape(), architecture.name(), architecture.shape()));
    }
    if (data.size() < batchSize) {
      throw new IOException(
          "%s has %d pictures, too few for a batch of %d; choose a smaller --batch-size"
              .formatted(data.name(), data.size(), batchSize));
    }
  }

  /** Steps in an epoch; the last may have a smaller batch. */
  public static int stepsPerEpoch(int images, int batchSize) {
    return (images + batchSize - 1) / batchSize;
  }

  /**
   * Trains to the end, or until the observer asks to stop.
   *
   * @return the state at the end of the last step
   * @throws NonFiniteException training diverged
   */
  public Checkpoint run(TrainingDevice device) throws IOException {
    try (NDManager manager = NDManager.newBaseManager(device.device())) {
      Networks networks = new Networks(manager);
      long step = 0;
      for (int epoch = 1; epoch <= hyperparameters.epochs(); epoch++) {
        int[] order = randomness.order(epoch, data.size());
        Means means = new Means();
        for (int first = 0; first < order.length; first += hyperparameters.batchSize()) {
          int n = Math.min(hyperparameters.batchSize(), order.length - first);
          long start = System.nanoTime();
          Figures figures = networks.step(order, first, n, (epoch - 1L) * order.length + first);
          double seconds = (System.nanoTime() - start) / 1e9;
          step++;
          requireFinite(figures, epoch, step);
          means.add(figures, n, seconds);
          observer.onStep(new Step(epoch, step, n, seconds, figures));
          if (observer.isStopRequested() && first + n < order.length) {
            return networks.checkpoint(epoch - 1, epoch, step);
          }
        }
        Checkpoint checkpoint = networks.checkpoint(epoch, epoch, step);
        observer.onEpoch(means.epoch(epoch), networks.samples(), checkpoint);
        if (observer.isStopRequested() || epoch == hyperparameters.epochs()) {
          return checkpoint;
        }
      }
      throw new AssertionError("there is an epoch");
    }
  }

  private static void requireFinite(Figures figures, int epoch, long step)
      throws NonFiniteException {
    if (!Float.isFinite(figures.discriminatorLoss())) {
      throw new NonFiniteException("the discriminator's loss", epoch, step);
    }
    if (!Float.isFinite(figures.generatorLoss())) {
      throw new NonFiniteException("the generator's loss", epoch, step);
    }
  }

  /** Both networks with their optimisers. */
  private final class Networks {

    private final NDManager manager;
    private final Generator generator;
    private final Discriminator discriminator;
    private final Adam generatorAdam;
    private final Adam discriminatorAdam;

    Networks(NDManager manager) {
      this.manager = manager;
      generator = new Generator(manager, architecture, randomness.generatorWeights());
      discriminator = new Discriminator(manager, architecture, randomness.discriminatorWeights());
      generatorAdam = new Adam(manager, generator, hyperparameters);
      discriminatorAdam = new Adam(manager, discriminator, hyperparameters);
    }

    /**
     * One step on the pictures {@code order[first..first + n)}; {@code position} counts pictures
     * since the start and places the noise.
     */
    Figures step(int[] order, int first, int n, long position) throws IOException {
      int latent = architecture.latentSize();
      try (NDManager step = manager.newSubManager()) {
        NDArray real = pictures(step, order, first, n); // (n, c, h, w), [-1, 1]

        // The discriminator. Its fakes are made outside the collector: constants to it.
        NDArray noise = latents(step, randomness.discriminatorNoise(position, n, latent), n);
        NDArray fake = generator.forward(noise, true); // (n, c, h, w), [-1, 1]
        NDArray discriminatorLoss;
        NDArray realScore;
        NDArray fakeScore;
        try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
          NDArray fakeLogits = discriminator.forward(fake, true); // (n, 1, 1, 1)
          NDArray realLogits = discriminator.forward(real, true); // (n, 1, 1, 1)
          discriminatorLoss = GanLoss.discriminator(realLogits, fakeLogits);
          realScore = GanLoss.score(realLogits);
          fakeScore = GanLoss.score(fakeLogits);
          collector.backward(discriminatorLoss);
        }
        discriminatorAdam.update();

        // The generator, through a discriminator that stands still.
        discriminator.setLearning(false);
        NDArray freshNoise = latents(step, randomness.generatorNoise(position, n, latent), n);
        NDArray generatorLoss;
        try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
          NDArray logits = discriminator.forward(generator.forward(freshNoise, true), true);
          generatorLoss = GanLoss.generator(logits);
          collector.backward(generatorLoss);
        }
        discriminator.setLearning(true);
        generatorAdam.update();

        float[] figures =
            NDArrays.stack(new NDList(discriminatorLoss, generatorLoss, realScore, fakeScore))
                .toFloatArray();
        return new Figures(figures[0], figures[1], figures[2], figures[3]);
      }
    }

    /**
     * The images of the sheet's latents, with the running statistics, as the published model makes
     * them.
     */
    List<byte[]> samples() {
      try (NDManager scope = manager.newSubManager()) {
        float[] z = randomness.sheet(SHEET_IMAGES, architecture.latentSize());
        NDArray images = generator.forward(latents(scope, z, SHEET_IMAGES), false);
        byte[] pixels = Pixels.of(images.toFloatArray(), architecture.shape());
        int size = architecture.shape().values();
        return IntStream.range(0, SHEET_IMAGES)
            .mapToObj(i -> Arrays.copyOfRange(pixels, i * size, (i + 1) * size))
            .toList();
      }
    }

    /**
     * The state now.
     *
     * @throws NonFiniteException a weight is NaN or infinite: no state to go back to
     */
    Checkpoint checkpoint(int epochsDone, int epoch, long step) throws NonFiniteException {
      Checkpoint checkpoint =
          new Checkpoint(
              architecture,
              hyperparameters,
              dataset,
              epochsDone,
              step,
              Tensors.of(generator, generatorAdam, discriminator, discriminatorAdam));
      for (var entry : checkpoint.tensors().entrySet()) {
        for (float value : entry.getValue().values()) {
          if (!Float.isFinite(value)) {
            throw new NonFiniteException(entry.getKey(), epoch, step);
          }
        }
      }
      return checkpoint;
    }

    private NDArray pictures(NDManager scope, int[] order, int first, int n) throws IOException {
      ImageShape shape = architecture.shape();
      float[] batch = new float[n * shape.values()];
      for (int i = 0; i < n; i++) {
        data.copyNormalised(order[first + i], batch, i * shape.values());
      }
      return scope.create(batch, new Shape(n, shape.channels(), shape.height(), shape.width()));
    }

    private NDArray latents(NDManager scope, float[] z, int n) {
      return scope.create(z, new Shape(n, architecture.latentSize(), 1, 1));
    }
  }

  /** Means over an epoch's steps. */
  private static final class Means {

    private int steps;
    private long images;
    private double seconds;
    private final double[] sums = new double[4];

    void add(Figures figures, int n, double took) {
      steps++;
      images += n;
      seconds += took;
      sums[0] += figures.discriminatorLoss();
      sums[1] += figures.generatorLoss();
      sums[2] += figures.realScore();
      sums[3] += figures.fakeScore();
    }

    Epoch epoch(int epoch) {
      return new Epoch(epoch, images, seconds, new Figures(mean(0), mean(1), mean(2), mean(3)));
    }

    private float mean(int figure) {
      return (float) (sums[figure] / steps);
    }
  }
}
