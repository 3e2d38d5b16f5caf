package dev.dcgan.trainer.train;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Pixels;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.data.Batches;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.net.Discriminator;
import dev.dcgan.trainer.net.Generator;
import dev.dcgan.trainer.net.Network;
import dev.dcgan.trainer.train.TrainingObserver.Next;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The recipe: per step the discriminator learns to tell batches of pictures from batches of fakes,
 * then the generator learns to fool it (Goodfellow et al. 2014, algorithm 1; Radford et al. 2015).
 *
 * <p>On the CPU the same arguments give the same weights, bit for bit, with the same number of
 * threads, however often training is interrupted and carried on from a checkpoint: noise and order
 * come from (seed, position), and a checkpoint holds the rest. One loop at a time in a process: the
 * engine collects one gradient at a time. Everything runs on the caller's thread.
 */
public final class TrainingLoop {

  private static final int SHEET_IMAGES = 25;
  private static final int FIGURES_AT_ONCE = 16;

  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final ImageDataset data;
  private final TrainingObserver observer;
  private final Checkpoint.Dataset dataset;
  private final Randomness randomness;
  private final int stepsPerEpoch;

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
    stepsPerEpoch = hyperparameters.stepsPerEpoch(data.size());
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

  /**
   * Trains to the end, or until the observer asks to stop.
   *
   * @param from where to carry on; null: at the beginning
   * @return the state at the end of the last step
   * @throws NonFiniteException training diverged
   * @throws IOException the checkpoint is of other networks or pictures; a picture cannot be read
   */
  public Checkpoint run(TrainingDevice device, @Nullable Checkpoint from) throws IOException {
    try (NDManager manager = NDManager.newBaseManager(device.device())) {
      Networks networks = new Networks(manager);
      Next next = Next.CONTINUE;
      if (from != null) {
        requireSame(from);
        networks.restore(from);
        if (networks.stepInEpoch() == 0) {
          next = observer.atEpochEnd(networks.epochsDone(), networks);
        }
      }
      if (next != Next.STOP && networks.epochsDone() < hyperparameters.epochs()) {
        train(networks, device);
      }
      return networks.checkpoint();
    }
  }

  private void train(Networks networks, TrainingDevice device) throws IOException {
    // A GPU works on while the host goes ahead: to read figures each step would stall it.
    int figuresAtOnce = device.device().isGpu() ? FIGURES_AT_ONCE : 1;
    try (Batches batches =
        new Batches(
            data,
            hyperparameters.batchSize(),
            epoch -> randomness.order(epoch, data.size()),
            networks.epochsDone() + 1,
            hyperparameters.epochs(),
            networks.stepInEpoch() * hyperparameters.discriminatorSteps())) {
      Next next = Next.CONTINUE;
      while (next != Next.STOP && networks.epochsDone() < hyperparameters.epochs()) {
        next = epoch(networks, batches, figuresAtOnce);
      }
    }
  }

  /** Trains to the end of the epoch that the networks are in, or until asked to stop. */
  private Next epoch(Networks networks, Batches batches, int figuresAtOnce) throws IOException {
    int epoch = networks.epochsDone() + 1;
    try (EpochReport report = new EpochReport(epoch, figuresAtOnce, observer)) {
      Next asked = Next.CONTINUE;
      while (networks.epochsDone() < epoch) {
        asked = networks.step(batches, report);
        if (asked != Next.CONTINUE && networks.epochsDone() < epoch) {
          asked = max(asked, report.flush());
          observer.onCheckpoint(networks.checkpoint());
          if (asked == Next.STOP) {
            return asked;
          }
        }
      }
      asked = max(asked, report.flush());
      observer.onEpoch(report.epoch(networks.step));
      return max(asked, observer.atEpochEnd(epoch, networks));
    }
  }

  private static Next max(Next a, Next b) {
    return a.compareTo(b) >= 0 ? a : b;
  }

  private void requireSame(Checkpoint from) throws IOException {
    if (!from.architecture().equals(architecture)) {
      throw new IOException(
          "the checkpoint is of %s; this run trains %s"
              .formatted(from.architecture().title(), architecture.title()));
    }
    if (!from.dataset().equals(dataset)) {
      throw new IOException(
          "the checkpoint learnt from %s; the pictures are now %s: training cannot carry on with others"
              .formatted(from.dataset(), dataset));
    }
  }

  /** Both networks with their optimisers, and how far they are. */
  private final class Networks implements TrainingObserver.Snapshot {

    private final NDManager manager;
    private final Generator generator;
    private final Discriminator discriminator;
    private final Adam generatorAdam;
    private final Adam discriminatorAdam;
    private final @Nullable GeneratorEma average;

    // Mutable state
    private long step;

    Networks(NDManager manager) {
      this.manager = manager;
      generator = new Generator(manager, architecture, randomness.generatorWeights());
      discriminator = new Discriminator(manager, architecture, randomness.discriminatorWeights());
      generatorAdam = adam(generator, hyperparameters.generatorLearningRate());
      discriminatorAdam = adam(discriminator, hyperparameters.discriminatorLearningRate());
      average =
          hyperparameters.emaDecay() == 0
              ? null
              : new GeneratorEma(manager, architecture, generator, hyperparameters.emaDecay());
    }

    private Adam adam(Network network, float learningRate) {
      return new Adam(
          manager, network, learningRate, hyperparameters.beta1(), hyperparameters.beta2());
    }

    int epochsDone() {
      return (int) (step / stepsPerEpoch);
    }

    int stepInEpoch() {
      return (int) (step % stepsPerEpoch);
    }

    void restore(Checkpoint from) throws IOException {
      step = from.step();
      long updates =
          (long) epochsDone() * hyperparameters.batchesPerEpoch(data.size())
              + (long) stepInEpoch() * hyperparameters.discriminatorSteps();
      Tensors.restore(from.tensors(), generator, generatorAdam, discriminator, discriminatorAdam);
      generatorAdam.setSteps(step);
      discriminatorAdam.setSteps(updates);
      if (average != null) {
        Tensors.restoreAverage(from.tensors(), average.generator());
      }
    }

    /** One step, on as many of the epoch's batches as the discriminator has steps. */
    Next step(Batches batches, EpochReport report) throws IOException {
      try (NDManager scope = manager.newSubManager()) {
        NDList discriminatorFigures;
        Batch batch;
        int images = 0;
        int batchesTaken = 0;
        long position; // Pictures seen before this batch: it places the noise.
        do {
          batch = batches.next();
          position = (batch.epoch() - 1L) * data.size() + batch.first();
          discriminatorFigures = discriminatorStep(scope, pictures(scope, batch), position);
          images += batch.size();
          batchesTaken++;
        } while (batchesTaken < hyperparameters.discriminatorSteps() && !batch.last());
        NDList generatorFigures = generatorStep(scope, position, batch.size());
        if (average != null) {
          average.update();
        }
        step++;
        NDArray figures =
            NDArrays.stack(
                new NDList(
                    discriminatorFigures.get(0),
                    generatorFigures.get(0),
                    discriminatorFigures.get(1),
                    discriminatorFigures.get(2),
                    discriminatorFigures.get(3),
                    generatorFigures.get(1)));
        figures.attach(manager);
        return report.add(step, images, figures);
      }
    }

    private NDList discriminatorStep(NDManager scope, NDArray real, long position) {
      int n = (int) real.size(0);
      float[] z = randomness.discriminatorNoise(position, n, architecture.latentSize());
      // The fakes are made outside the collector: constants to it.
      NDArray fake = generator.forward(latents(scope, z, n), true); // (n, c, h, w), [-1, 1]
      NDList figures; // loss, D(x), D(G(z)), gradient's norm
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray fakeLogits = discriminator.forward(fake, true); // (n, 1, 1, 1)
        NDArray realLogits = discriminator.forward(real, true); // (n, 1, 1, 1)
        NDArray loss =
            GanLoss.discriminator(realLogits, fakeLogits, hyperparameters.labelSmoothing());
        figures = new NDList(loss, GanLoss.score(realLogits), GanLoss.score(fakeLogits));
        collector.backward(loss);
      }
      figures.add(update(discriminatorAdam, scope));
      return figures;
    }

    /** Through a discriminator that stands still; its loss and the norm of its gradient. */
    private NDList generatorStep(NDManager scope, long position, int n) {
      float[] z = randomness.generatorNoise(position, n, architecture.latentSize());
      discriminator.setLearning(false);
      NDArray noise = latents(scope, z, n);
      NDArray loss;
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray logits = discriminator.forward(generator.forward(noise, true), true);
        loss = GanLoss.generator(logits);
        collector.backward(loss);
      }
      discriminator.setLearning(true);
      return new NDList(loss, update(generatorAdam, scope));
    }

    /** Moves a network's parameters; returns the norm of its gradient. */
    private static NDArray update(Adam adam, NDManager scope) {
      NDArray norm = adam.update();
      norm.attach(scope);
      return norm;
    }

    @Override
    public List<byte[]> sheet() {
      float[] z = randomness.sheet(SHEET_IMAGES, architecture.latentSize());
      byte[] pixels = pixels(z, SHEET_IMAGES);
      int size = architecture.shape().values();
      return IntStream.range(0, SHEET_IMAGES)
          .mapToObj(i -> Arrays.copyOfRange(pixels, i * size, (i + 1) * size))
          .toList();
    }

    @Override
    public byte[] pixels(float[] latents, int n) {
      Generator published = average == null ? generator : average.generator();
      try (NDManager scope = manager.newSubManager()) {
        NDArray images = published.forward(latents(scope, latents, n), false);
        return Pixels.of(images.toFloatArray(), architecture.shape());
      }
    }

    @Override
    public Checkpoint checkpoint() throws NonFiniteException {
      Checkpoint checkpoint =
          new Checkpoint(
              architecture,
              hyperparameters,
              dataset,
              epochsDone(),
              step,
              Tensors.of(
                  generator,
                  generatorAdam,
                  discriminator,
                  discriminatorAdam,
                  average == null ? null : average.generator()));
      for (var entry : checkpoint.tensors().entrySet()) {
        for (float value : entry.getValue().values()) {
          if (!Float.isFinite(value)) {
            throw new NonFiniteException(entry.getKey(), epochsDone() + 1, step);
          }
        }
      }
      return checkpoint;
    }

    private NDArray pictures(NDManager scope, Batch batch) {
      ImageShape shape = architecture.shape();
      return scope.create(
          batch.values(),
          new Shape(batch.size(), shape.channels(), shape.height(), shape.width()),
          DataType.FLOAT32);
    }

    private NDArray latents(NDManager scope, float[] z, int n) {
      return scope.create(z, new Shape(n, architecture.latentSize(), 1, 1));
    }
  }
}
