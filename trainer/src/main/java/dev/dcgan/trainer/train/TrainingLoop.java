package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDManager;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.data.DataLoader;
import dev.dcgan.trainer.data.DataLoader.Mirroring;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.TrainingListener.Next;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The GAN training loop: each step updates the discriminator on real and fake batches, then the
 * generator (Goodfellow et al. 2014, algorithm 1; Radford et al. 2015).
 *
 * <p>On the CPU the same arguments and number of threads give bit-identical weights, however often
 * training is interrupted and resumed from a checkpoint: latents and shuffling depend on (seed,
 * position), and checkpoints contain the rest. Only one loop at a time may run in a process. It
 * runs on the caller's thread.
 */
public final class TrainingLoop {

  private static final int GPU_FLUSH_INTERVAL = 16;

  private final Architecture architecture;
  private final Hyperparameters hyperparameters;
  private final ImageDataset data;
  private final TrainingListener listener;
  private final Checkpoint.Dataset dataset;
  private final int @Nullable [] labels; // null without classes
  private final Randomness randomness;

  // Mutable state, used by the training thread only
  private boolean betweenSteps;

  /**
   * Creates a training loop.
   *
   * @throws IOException if the images do not have the architecture's shape or classes, or are too
   *     few for a batch
   */
  public TrainingLoop(
      Architecture architecture,
      Hyperparameters hyperparameters,
      ImageDataset data,
      TrainingListener listener)
      throws IOException {
    requireFit(architecture, hyperparameters.batchSize(), data);
    this.architecture = architecture;
    this.hyperparameters = hyperparameters;
    this.data = data;
    this.listener = listener;
    dataset = dataset(architecture, data);
    labels = architecture.classes() == 0 ? null : ImageLabels.of(data).labels();
    randomness = new Randomness(hyperparameters.seed());
  }

  /**
   * Checks that a dataset fits the architecture and the batch size.
   *
   * @throws FinalFailureException if the images have another shape or are too few for a batch
   */
  public static void requireFit(Architecture architecture, int batchSize, ImageDataset data)
      throws IOException {
    if (!data.shape().equals(architecture.shape())) {
      throw new FinalFailureException(
          "cannot train %s on %s: its images are %s; expected %s"
              .formatted(architecture.name(), data.name(), data.shape(), architecture.shape()));
    }
    if (data.size() < batchSize) {
      throw new FinalFailureException(
          "cannot train on %s: it has %d images; expected at least %d, one batch: use a smaller --batch-size"
              .formatted(data.name(), data.size(), batchSize));
    }
  }

  /** What a checkpoint says of the images. */
  private static Checkpoint.Dataset dataset(Architecture architecture, ImageDataset data)
      throws IOException {
    if (architecture.classes() == 0) {
      return new Checkpoint.Dataset(data.name(), data.sha256(), data.size());
    }
    ImageClasses classes = ImageLabels.of(data).classes();
    if (classes.size() != architecture.classes()) {
      throw new IOException(
          "cannot train %s on %s: it has %d classes; expected %d"
              .formatted(
                  architecture.title(), data.name(), classes.size(), architecture.classes()));
    }
    return new Checkpoint.Dataset(data.name(), data.sha256(), data.size(), classes);
  }

  /**
   * Trains to the last epoch, or until the listener requests to stop.
   *
   * @param from the checkpoint to resume from; null for a new run
   * @throws NonFiniteException if training diverges
   * @throws IOException if the checkpoint has another architecture or dataset, or an image cannot
   *     be read
   */
  public void run(TrainingDevice device, @Nullable Checkpoint from) throws IOException {
    run(device, from, null);
  }

  /**
   * As {@link #run(TrainingDevice, Checkpoint)}.
   *
   * @param initial the checkpoint whose weights a new run starts from, of the same architecture;
   *     null: new weights
   */
  public void run(TrainingDevice device, @Nullable Checkpoint from, @Nullable Checkpoint initial)
      throws IOException {
    try (NDManager manager = NDManager.newBaseManager(device.device())) {
      GanNetworks networks =
          new GanNetworks(manager, architecture, hyperparameters, dataset, false, phase -> {});
      Next next = Next.CONTINUE;
      if (from != null) {
        requireMatching(architecture, hyperparameters, data, from);
        networks.restore(from);
        if (networks.stepInEpoch() == 0) {
          next = listener.atEpochEnd(networks.epochsDone(), networks);
        }
      } else {
        if (initial != null) {
          networks.initialize(initial);
        }
        listener.atStart(networks);
      }
      if (next != Next.STOP && networks.epochsDone() < hyperparameters.epochs()) {
        train(networks, device);
      }
    }
  }

  private void train(GanNetworks networks, TrainingDevice device) throws IOException {
    // On a GPU, reading metrics after each step would synchronize the host with the device.
    int flushInterval = device.isGpu() ? GPU_FLUSH_INTERVAL : 1;
    try (DataLoader batches =
        new DataLoader(
            data,
            hyperparameters.batchSize(),
            randomness.noise(
                architecture.latentSize(),
                !hyperparameters.extensions().augmentations().isEmpty(),
                data.size()),
            labels,
            hyperparameters.extensions().mirror()
                ? randomness.mirroring(data.size())
                : Mirroring.NONE,
            this::order,
            networks.epochsDone() + 1,
            hyperparameters.epochs(),
            networks.stepInEpoch() * hyperparameters.discriminatorSteps())) {
      Next next = Next.CONTINUE;
      betweenSteps = true;
      while (next != Next.STOP && networks.epochsDone() < hyperparameters.epochs()) {
        next = trainEpoch(networks, batches, flushInterval);
      }
    } catch (IOException | RuntimeException e) {
      saveAfterOutOfMemory(networks, e);
      throw e;
    }
  }

  /** The images of an epoch, in order; see {@link Hyperparameters#imagesPerEpoch}. */
  private int[] order(int epoch) {
    int[] all = randomness.order(epoch, data.size());
    return Arrays.copyOf(all, hyperparameters.imagesPerEpoch(all.length));
  }

  /**
   * Passes a checkpoint to the listener if memory was exhausted between steps. Within a step,
   * weights are partly updated; after a device failure, nothing on the device can be read.
   */
  private void saveAfterOutOfMemory(GanNetworks networks, Exception failure) {
    boolean outOfMemory =
        NativeFailureException.find(failure)
            .filter(found -> found.kind() == NativeFailureException.Kind.OUT_OF_MEMORY)
            .isPresent();
    if (outOfMemory && betweenSteps) {
      try {
        listener.onCheckpoint(networks.checkpoint());
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        failure.addSuppressed(e);
      }
    }
  }

  /** Returns the next batch; from here on the networks change. */
  private Batch nextBatch(DataLoader batches) throws IOException {
    Batch batch = batches.next();
    betweenSteps = false;
    return batch;
  }

  /** Trains to the end of the current epoch, or until the listener requests to stop. */
  private Next trainEpoch(GanNetworks networks, DataLoader batches, int flushInterval)
      throws IOException {
    int epoch = networks.epochsDone() + 1;
    try (EpochMetrics metrics = new EpochMetrics(epoch, flushInterval, listener)) {
      Next requested = Next.CONTINUE;
      while (networks.epochsDone() < epoch) {
        StepMetrics step = networks.step(() -> nextBatch(batches));
        betweenSteps = true;
        requested = metrics.add(step);
        if (requested != Next.CONTINUE && networks.epochsDone() < epoch) {
          requested = max(requested, metrics.flush());
          listener.onCheckpoint(networks.checkpoint());
          if (requested == Next.STOP) {
            return requested;
          }
        }
      }
      requested = max(requested, metrics.flush());
      listener.onEpoch(metrics.epoch(networks.steps()));
      return max(requested, listener.atEpochEnd(epoch, networks));
    }
  }

  private static Next max(Next a, Next b) {
    return a.compareTo(b) >= 0 ? a : b;
  }

  /**
   * Requires that a run can be resumed from a checkpoint.
   *
   * @throws IOException the checkpoint has another architecture, or was trained on other images;
   *     the message has both
   */
  public static void requireMatching(
      Architecture architecture,
      Hyperparameters hyperparameters,
      ImageDataset data,
      Checkpoint from)
      throws IOException {
    if (!from.architecture().equals(architecture)) {
      throw new IOException(
          "cannot resume: the checkpoint is of %s; expected %s"
              .formatted(from.architecture().title(), architecture.title()));
    }
    // Not the name: the same images may have moved to another folder.
    if (!from.dataset().sha256().equals(data.sha256())) {
      throw new IOException(
          "cannot resume: the images are now %s; expected %s, which the run was trained on"
              .formatted(
                  new Checkpoint.Dataset(data.name(), data.sha256(), data.size()), from.dataset()));
    }
    ImageClasses classes = from.dataset().classes();
    if (classes != null) {
      ImageClasses now = ImageLabels.of(data).classes();
      if (!now.toProto().equals(classes.toProto())) {
        throw new IOException(
            "cannot resume: the images now have other labels, in the classes %s; expected those that the run was trained on, in the classes %s"
                .formatted(now, classes));
      }
    }
    int stepsPerEpoch = hyperparameters.stepsPerEpoch(data.size());
    if (from.epoch() != from.step() / stepsPerEpoch) {
      // Earlier programs trained on a last batch of one image.
      throw new IOException(
          "cannot resume: the checkpoint has %d epochs in %d steps; expected %d steps per epoch"
              .formatted(from.epoch(), from.step(), stepsPerEpoch));
    }
  }
}
