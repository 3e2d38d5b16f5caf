package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.model.Pixels;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TorchContext;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Both networks with their optimisers, how far they are, and a step of both. */
public final class GanNetworks implements TrainingListener.Snapshot {

  private static final int SHEET_IMAGES = 25;

  /** The parts of a step, as {@link Laps} are told of them. */
  public enum Phase {
    UPLOAD("batch to the device"),
    DISCRIMINATOR("D step"),
    GENERATOR("G step");

    final String title;

    Phase(String title) {
      this.title = title;
    }
  }

  /** Told at the end of each part of a step, as far as the host is: a GPU may be behind. */
  public interface Laps {
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
  private final TrainingStep updates;
  private final BatchUpload uploads;

  // Mutable state
  private long step;

  /**
   * Networks before their first step. Sets up PyTorch, for the whole process, as the
   * hyperparameters say.
   *
   * @param plain whether to compute by PyTorch's own operators alone, see {@link Generator}
   * @throws IOException PyTorch's library is not of the expected version
   */
  public GanNetworks(
      NDManager manager,
      Architecture architecture,
      Hyperparameters hyperparameters,
      Checkpoint.Dataset dataset,
      boolean plain,
      Laps laps)
      throws IOException {
    TorchContext.get()
        .apply(
            TorchContext.Settings.of(hyperparameters.precision(), hyperparameters.deterministic()));
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
    updates =
        new TrainingStep(
            manager,
            architecture,
            generator,
            generatorAdam,
            discriminator,
            discriminatorAdam,
            average,
            hyperparameters.labelSmoothing());
    uploads = new BatchUpload(manager);
  }

  private Adam adam(Network network, float learningRate) {
    return new Adam(
        manager, network, learningRate, hyperparameters.beta1(), hyperparameters.beta2());
  }

  /** Steps since the beginning, those before a checkpoint counted. */
  public long steps() {
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
  StepMetrics step(BatchSource batches) throws IOException {
    try (NDManager scope = manager.newSubManager()) {
      int images = 0;
      int batchesTaken = 0;
      while (true) {
        Batch batch = batches.next();
        NDArray values = uploads.upload(scope, batch);
        laps.end(Phase.UPLOAD);
        NDArray figures = updates.updateDiscriminator(values);
        laps.end(Phase.DISCRIMINATOR);
        images += batch.size();
        batchesTaken++;
        if (batchesTaken == hyperparameters.discriminatorSteps() || batch.last()) {
          figures = updates.updateGenerator(values, figures);
          laps.end(Phase.GENERATOR);
          step++;
          figures.attach(manager);
          return new StepMetrics(step, images, figures);
        }
        values.close();
      }
    }
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
      NDArray images = published.forward(latents(scope, latents, n));
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

  private NDArray latents(NDManager scope, float[] z, int n) {
    return scope.create(z, new Shape(n, architecture.latentSize(), 1, 1));
  }
}
