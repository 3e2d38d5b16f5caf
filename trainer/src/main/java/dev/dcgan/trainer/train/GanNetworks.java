package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
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

/** The generator and the discriminator with their optimizers, and the training step. */
public final class GanNetworks implements TrainingListener.Snapshot {

  private static final int SAMPLE_IMAGES = 25;
  private static final int MAX_CLASS_ROWS = 20;

  /** The phases of a step. */
  public enum Phase {
    UPLOAD("batch to the device"),
    DISCRIMINATOR("D step"),
    GENERATOR("G step"),
    BOTH("D and G step");

    final String label;

    Phase(String label) {
      this.label = label;
    }
  }

  /** Called when the host has finished a phase of a step; a GPU may still be computing. */
  public interface PhaseListener {
    void onPhaseEnd(Phase phase);
  }

  /** The source of a step's batches. */
  interface BatchSource {
    Batch next() throws IOException;
  }

  private final NDManager manager;
  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final Checkpoint.Dataset dataset;
  private final PhaseListener phases;
  private final Randomness randomness;
  private final int stepsPerEpoch;
  private final Generator generator;
  private final Discriminator discriminator;
  private final Adam generatorAdam;
  private final Adam discriminatorAdam;
  private final @Nullable GeneratorEma ema;
  private final TrainingStep updates;
  private final BatchUpload uploads;

  // Mutable state
  private long step; // steps since the beginning of the run

  /**
   * Creates networks with initial weights, and sets PyTorch's precision and determinism for the
   * whole process.
   *
   * @param nativeOperators whether to use PyTorch's own operators only, see {@link Generator}
   * @throws IOException if PyTorch's library does not have the expected version
   */
  public GanNetworks(
      NDManager manager,
      Architecture architecture,
      Hyperparameters hyperparameters,
      Checkpoint.Dataset dataset,
      boolean nativeOperators,
      PhaseListener phases)
      throws IOException {
    TorchContext.get()
        .apply(
            TorchContext.Settings.of(hyperparameters.precision(), hyperparameters.deterministic()));
    this.manager = manager;
    this.architecture = architecture;
    this.hyperparameters = hyperparameters;
    this.dataset = dataset;
    this.phases = phases;
    randomness = new Randomness(hyperparameters.seed());
    stepsPerEpoch = hyperparameters.stepsPerEpoch(dataset.images());
    generator =
        new Generator(manager, architecture, randomness.generatorWeights(), nativeOperators);
    discriminator =
        new Discriminator(
            manager, architecture, randomness.discriminatorWeights(), nativeOperators);
    long epochs = hyperparameters.epochs();
    generatorAdam =
        adam(generator, hyperparameters.generatorLearningRate(), epochs * stepsPerEpoch);
    discriminatorAdam =
        adam(
            discriminator,
            hyperparameters.discriminatorLearningRate(),
            epochs * hyperparameters.batchesPerEpoch(dataset.images()));
    ema =
        hyperparameters.emaDecay() == 0
            ? null
            : new GeneratorEma(
                manager, architecture, generator, hyperparameters.emaDecay(), nativeOperators);
    updates =
        new TrainingStep(
            manager,
            architecture,
            generator,
            generatorAdam,
            discriminator,
            discriminatorAdam,
            ema,
            hyperparameters);
    uploads = new BatchUpload(manager);
  }

  private Adam adam(Network network, float learningRate, long updates) {
    return new Adam(
        manager,
        network,
        learningRate,
        hyperparameters.beta1(),
        hyperparameters.beta2(),
        updates,
        updates * hyperparameters.extensions().learningRateDecay());
  }

  /** The steps since the beginning of the run, including those before a resume. */
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
    CheckpointTensors.restore(
        from.tensors(), generator, generatorAdam, discriminator, discriminatorAdam);
    generatorAdam.setSteps(step);
    discriminatorAdam.setSteps(updates);
    if (ema != null) {
      CheckpointTensors.restoreEma(from.tensors(), ema.generator());
    }
  }

  /**
   * Takes the weights and batch statistics of both networks from a checkpoint. The optimizers stay
   * new; an average starts from these weights.
   */
  void initialize(Checkpoint from) throws IOException {
    CheckpointTensors.restoreNetworks(from.tensors(), generator, discriminator);
    if (ema != null) {
      CheckpointTensors.restoreGenerator(from.tensors(), ema.generator());
    }
  }

  /**
   * Runs one step: n_critic discriminator updates, each on a batch of its own, and one generator
   * update; fewer discriminator updates at the end of an epoch.
   */
  StepMetrics step(BatchSource batches) throws IOException {
    try (NDManager scope = manager.newSubManager()) {
      int images = 0;
      int discriminatorUpdates = 0;
      while (true) {
        Batch batch = batches.next();
        NDArray values = uploads.upload(scope, batch);
        phases.onPhaseEnd(Phase.UPLOAD);
        images += batch.size();
        discriminatorUpdates++;
        boolean isLast =
            discriminatorUpdates == hyperparameters.discriminatorSteps() || batch.last();
        boolean both = isLast && hyperparameters.extensions().sharedFakes();
        NDArray metrics = both ? updates.updateBoth(values) : updates.updateDiscriminator(values);
        phases.onPhaseEnd(both ? Phase.BOTH : Phase.DISCRIMINATOR);
        if (isLast) {
          if (!both) {
            metrics = updates.updateGenerator(values, metrics);
            phases.onPhaseEnd(Phase.GENERATOR);
          }
          step++;
          metrics.attach(manager);
          return new StepMetrics(step, images, metrics);
        }
        values.close();
      }
    }
  }

  @Override
  public List<byte[]> sampleImages() {
    int[] labels = sampleLabels();
    int n = architecture.classes() == 0 ? SAMPLE_IMAGES : labels.length;
    float[] z = randomness.sampleLatents(n, architecture.latentSize());
    byte[] pixels = pixels(z, Arrays.stream(labels).asLongStream().toArray(), n);
    int size = architecture.shape().values();
    return IntStream.range(0, n)
        .mapToObj(i -> Arrays.copyOfRange(pixels, i * size, (i + 1) * size))
        .toList();
  }

  @Override
  public int[] sampleLabels() {
    int classes = architecture.classes();
    int rows = Math.min(classes, MAX_CLASS_ROWS);
    return IntStream.range(0, rows * SampleGrid.COLUMNS)
        .map(i -> (int) ((long) (i / SampleGrid.COLUMNS) * classes / rows))
        .toArray();
  }

  @Override
  public byte[] pixels(float[] latents, long[] labels, int n) {
    Generator evaluated = ema == null ? generator : ema.generator();
    try (NDManager scope = manager.newSubManager()) {
      NDArray images = evaluated.generate(scope, latents, labels, n);
      return Pixels.of(HostCopies.floats(images), architecture.shape());
    }
  }

  @Override
  public Checkpoint checkpoint() throws NonFiniteException {
    Map<String, NDArray> arrays =
        CheckpointTensors.arrays(
            generator,
            generatorAdam,
            discriminator,
            discriminatorAdam,
            ema == null ? null : ema.generator());
    Optional<String> nonFinite = CheckpointTensors.findNonFinite(manager, arrays);
    if (nonFinite.isPresent()) {
      throw new NonFiniteException(nonFinite.get(), epochsDone() + 1, step);
    }
    return new Checkpoint(
        architecture, hyperparameters, dataset, epochsDone(), step, CheckpointTensors.of(arrays));
  }
}
