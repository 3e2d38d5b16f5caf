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
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.net.Discriminator;
import dev.dcgan.trainer.net.Generator;
import dev.dcgan.trainer.net.HostCopies;
import dev.dcgan.trainer.net.Network;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Both networks with their optimisers, how far they are, and a step of both. */
final class Networks implements TrainingObserver.Snapshot {

  private static final int SHEET_IMAGES = 25;

  /** The parts of a step, as {@link Laps} are told of them. */
  enum Phase {
    FAKES("batch, G forward for D"),
    DISCRIMINATOR("D forward and backward"),
    DISCRIMINATOR_UPDATE("D update"),
    GENERATOR("G and D forward"),
    GENERATOR_BACKWARD("D and G backward"),
    GENERATOR_UPDATE("G update");

    final String title;

    Phase(String title) {
      this.title = title;
    }
  }

  /** Told at the end of each part of a step, as far as the host is: a GPU may be behind. */
  interface Laps {
    void end(Phase phase);
  }

  /** Where a step's pictures come from. */
  interface BatchSource {
    Batch next() throws IOException;
  }

  private final NDManager manager;
  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final Checkpoint.Dataset dataset;
  private final Laps laps;
  private final Randomness randomness;
  private final int stepsPerEpoch;
  private final Generator generator;
  private final Discriminator discriminator;
  private final Adam generatorAdam;
  private final Adam discriminatorAdam;
  private final @Nullable GeneratorEma average;

  // Mutable state
  private long step;

  /**
   * Networks before their first step.
   *
   * @param plain whether to compute by PyTorch's own operators alone, see {@link Generator}
   */
  Networks(
      NDManager manager,
      Architecture architecture,
      Hyperparameters hyperparameters,
      Checkpoint.Dataset dataset,
      boolean plain,
      Laps laps) {
    this.manager = manager;
    this.architecture = architecture;
    this.hyperparameters = hyperparameters;
    this.dataset = dataset;
    this.laps = laps;
    randomness = new Randomness(hyperparameters.seed());
    stepsPerEpoch = hyperparameters.stepsPerEpoch(dataset.images());
    generator = new Generator(manager, architecture, randomness.generatorWeights(), plain);
    discriminator = new Discriminator(manager, architecture, randomness.discriminatorWeights());
    generatorAdam = adam(generator, hyperparameters.generatorLearningRate());
    discriminatorAdam = adam(discriminator, hyperparameters.discriminatorLearningRate());
    average =
        hyperparameters.emaDecay() == 0
            ? null
            : new GeneratorEma(manager, architecture, generator, hyperparameters.emaDecay(), plain);
  }

  private Adam adam(Network network, float learningRate) {
    return new Adam(
        manager, network, learningRate, hyperparameters.beta1(), hyperparameters.beta2());
  }

  /** Steps since the beginning, those before a checkpoint counted. */
  long steps() {
    return step;
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
        (long) epochsDone() * hyperparameters.batchesPerEpoch(dataset.images())
            + (long) stepInEpoch() * hyperparameters.discriminatorSteps();
    Tensors.restore(from.tensors(), generator, generatorAdam, discriminator, discriminatorAdam);
    generatorAdam.setSteps(step);
    discriminatorAdam.setSteps(updates);
    if (average != null) {
      Tensors.restoreAverage(from.tensors(), average.generator());
    }
  }

  /** One step, on as many of the epoch's batches as the discriminator has steps. */
  StepFigures step(BatchSource batches) throws IOException {
    try (NDManager scope = manager.newSubManager()) {
      NDList discriminatorFigures;
      Batch batch;
      int images = 0;
      int batchesTaken = 0;
      long position; // Pictures seen before this batch: it places the noise.
      do {
        batch = batches.next();
        position = (batch.epoch() - 1L) * dataset.images() + batch.first();
        discriminatorFigures = discriminatorStep(scope, pictures(scope, batch), position);
        images += batch.size();
        batchesTaken++;
      } while (batchesTaken < hyperparameters.discriminatorSteps() && !batch.last());
      NDList generatorFigures = generatorStep(scope, position, batch.size());
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
      return new StepFigures(step, images, figures);
    }
  }

  private NDList discriminatorStep(NDManager scope, NDArray real, long position) {
    int n = (int) real.size(0);
    float[] z = randomness.discriminatorNoise(position, n, architecture.latentSize());
    // The fakes are made outside the collector: constants to it.
    NDArray fake = generator.forward(latents(scope, z, n), true); // (n, c, h, w), [-1, 1]
    laps.end(Phase.FAKES);
    NDList figures; // loss, D(x), D(G(z)), gradient's norm
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray fakeLogits = discriminator.forward(fake, true); // (n, 1, 1, 1)
      NDArray realLogits = discriminator.forward(real, true); // (n, 1, 1, 1)
      NDArray loss =
          GanLoss.discriminator(realLogits, fakeLogits, hyperparameters.labelSmoothing());
      figures = new NDList(loss, GanLoss.score(realLogits), GanLoss.score(fakeLogits));
      collector.backward(loss);
    }
    laps.end(Phase.DISCRIMINATOR);
    figures.add(update(discriminatorAdam, scope));
    laps.end(Phase.DISCRIMINATOR_UPDATE);
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
      laps.end(Phase.GENERATOR);
      collector.backward(loss);
    }
    discriminator.setLearning(true);
    laps.end(Phase.GENERATOR_BACKWARD);
    NDList figures = new NDList(loss, update(generatorAdam, scope));
    if (average != null) {
      average.update(step + 1);
    }
    laps.end(Phase.GENERATOR_UPDATE);
    return figures;
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
      return Pixels.of(HostCopies.floats(images), architecture.shape());
    }
  }

  @Override
  public Checkpoint checkpoint() throws NonFiniteException {
    Map<String, NDArray> arrays =
        Tensors.arrays(
            generator,
            generatorAdam,
            discriminator,
            discriminatorAdam,
            average == null ? null : average.generator());
    Optional<String> nonFinite = Tensors.findNonFinite(manager, arrays);
    if (nonFinite.isPresent()) {
      throw new NonFiniteException(nonFinite.get(), epochsDone() + 1, step);
    }
    return new Checkpoint(
        architecture, hyperparameters, dataset, epochsDone(), step, Tensors.of(arrays));
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
