package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.data.Batches;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.TrainingListener.Next;
import java.io.IOException;
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

  private static final int FIGURES_AT_ONCE = 16;

  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final ImageDataset data;
  private final TrainingListener observer;
  private final Checkpoint.Dataset dataset;
  private final Randomness randomness;

  // Mutable state, of the training thread
  private boolean betweenSteps;

  /**
   * Prepares to train.
   *
   * @throws IOException the pictures are not of the architecture's shape, or too few for a batch
   */
  public TrainingLoop(
      Architecture architecture,
      Hyperparameters hyperparameters,
      ImageDataset data,
      TrainingListener observer)
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

  /**
   * Trains to the end, or until the observer asks to stop.
   *
   * @param from where to carry on; null: at the beginning
   * @throws NonFiniteException training diverged
   * @throws IOException the checkpoint is of other networks or pictures; a picture cannot be read
   */
  public void run(TrainingDevice device, @Nullable Checkpoint from) throws IOException {
    try (NDManager manager = NDManager.newBaseManager(device.device())) {
      GanNetworks networks =
          new GanNetworks(manager, architecture, hyperparameters, dataset, false, phase -> {});
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
    }
  }

  private void train(GanNetworks networks, TrainingDevice device) throws IOException {
    // A GPU works on while the host goes ahead: to read figures each step would stall it.
    int figuresAtOnce = device.isGpu() ? FIGURES_AT_ONCE : 1;
    try (Batches batches =
        new Batches(
            data,
            hyperparameters.batchSize(),
            randomness.noise(architecture.latentSize(), data.size()),
            epoch -> randomness.order(epoch, data.size()),
            networks.epochsDone() + 1,
            hyperparameters.epochs(),
            networks.stepInEpoch() * hyperparameters.discriminatorSteps())) {
      Next next = Next.CONTINUE;
      betweenSteps = true;
      while (next != Next.STOP && networks.epochsDone() < hyperparameters.epochs()) {
        next = epoch(networks, batches, figuresAtOnce);
      }
    } catch (IOException | RuntimeException e) {
      keepWhatIsLeft(networks, e);
      throw e;
    }
  }

  /**
   * Hands over a checkpoint where memory has run out, once. Not within a step: what it has changed
   * so far is no state of the run. Not where the device has failed: nothing on it can be read.
   */
  private void keepWhatIsLeft(GanNetworks networks, Exception failure) {
    boolean outOfMemory =
        NativeFailureException.find(failure)
            .filter(found -> found.kind() == NativeFailureException.Kind.OUT_OF_MEMORY)
            .isPresent();
    if (outOfMemory && betweenSteps) {
      try {
        observer.onCheckpoint(networks.checkpoint());
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        failure.addSuppressed(e);
      }
    }
  }

  /** The next batch, with which the networks begin to change. */
  private Batch take(Batches batches) throws IOException {
    Batch batch = batches.next();
    betweenSteps = false;
    return batch;
  }

  /** Trains to the end of the epoch that the networks are in, or until asked to stop. */
  private Next epoch(GanNetworks networks, Batches batches, int figuresAtOnce) throws IOException {
    int epoch = networks.epochsDone() + 1;
    try (EpochReport report = new EpochReport(epoch, figuresAtOnce, observer)) {
      Next asked = Next.CONTINUE;
      while (networks.epochsDone() < epoch) {
        StepMetrics figures = networks.step(() -> take(batches));
        betweenSteps = true;
        asked = report.add(figures);
        if (asked != Next.CONTINUE && networks.epochsDone() < epoch) {
          asked = max(asked, report.flush());
          observer.onCheckpoint(networks.checkpoint());
          if (asked == Next.STOP) {
            return asked;
          }
        }
      }
      asked = max(asked, report.flush());
      observer.onEpoch(report.epoch(networks.steps()));
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
}
