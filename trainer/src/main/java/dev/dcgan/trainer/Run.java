package dev.dcgan.trainer;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.trainer.train.CheckpointFile;
import dev.dcgan.trainer.train.Hyperparameters;
import dev.dcgan.trainer.train.NonFiniteException;
import dev.dcgan.trainer.train.SampleGrid;
import dev.dcgan.trainer.train.TrainingDevice;
import dev.dcgan.trainer.train.TrainingLoop;
import dev.dcgan.trainer.train.TrainingObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One training run and its folder: {@code samples/epoch-NNN.png} from the same latents each time,
 * {@code checkpoints/} with the newest two, and {@code real-vs-generated.png}.
 */
final class Run implements TrainingObserver {

  private static final Logger log = LoggerFactory.getLogger("train");
  private static final int KEPT_CHECKPOINTS = 2;

  private final Path folder;
  private final ImageDataset data;
  private final TrainerMetrics metrics;
  private final ConsoleProgress progress;
  private final BooleanSupplier stopRequested;

  // Mutable state, of the training thread
  private final List<Path> checkpoints = new ArrayList<>();
  private List<byte[]> samples = List.of();

  Run(
      Path folder,
      ImageDataset data,
      TrainerMetrics metrics,
      ConsoleProgress progress,
      BooleanSupplier stopRequested)
      throws IOException {
    this.folder = folder;
    this.data = data;
    this.metrics = metrics;
    this.progress = progress;
    this.stopRequested = stopRequested;
    Files.createDirectories(samplesFolder());
    Files.createDirectories(checkpointsFolder());
  }

  /**
   * Trains.
   *
   * @return the checkpoint at the end; on disk too
   * @throws NonFiniteException training diverged; the message names the last good checkpoint
   */
  Checkpoint train(
      Architecture architecture, Hyperparameters hyperparameters, TrainingDevice device)
      throws IOException {
    try (progress) {
      Checkpoint last = new TrainingLoop(architecture, hyperparameters, data, this).run(device);
      if (stopRequested.getAsBoolean()) {
        save(last);
        log.info("stopped at step {}; kept {}", last.step(), newestCheckpoint());
      } else {
        log.info("trained to step {}; kept {}", last.step(), newestCheckpoint());
        writeRealVersusGenerated();
      }
      return last;
    } catch (NonFiniteException e) {
      Path newest = newestCheckpoint();
      throw new IOException(
          e.getMessage()
              + (newest == null
                  ? "; no epoch was completed, so there is no checkpoint"
                  : "; the last good checkpoint is " + newest),
          e);
    }
  }

  @Override
  public void onStep(Step step) {
    metrics.onStep(step);
    progress.onStep(step);
  }

  @Override
  public void onEpoch(Epoch epoch, List<byte[]> images, Checkpoint checkpoint) throws IOException {
    progress.onEpoch(epoch);
    save(checkpoint); // First: a picture that cannot be written must not cost the epoch.
    samples = images;
    SampleGrid.write(
        samplesFolder().resolve("epoch-%03d.png".formatted(epoch.epoch())), data.shape(), images);
  }

  @Override
  public boolean isStopRequested() {
    return stopRequested.getAsBoolean();
  }

  private void save(Checkpoint checkpoint) throws IOException {
    Path file = checkpointsFolder().resolve("step-%08d.safetensors".formatted(checkpoint.step()));
    if (checkpoints.contains(file)) {
      return;
    }
    CheckpointFile.write(file, checkpoint);
    checkpoints.add(file);
    while (checkpoints.size() > KEPT_CHECKPOINTS) {
      Files.deleteIfExists(checkpoints.remove(0));
    }
  }

  private @Nullable Path newestCheckpoint() {
    return checkpoints.isEmpty() ? null : checkpoints.get(checkpoints.size() - 1);
  }

  /** As many real pictures as there are samples, beside them. */
  private void writeRealVersusGenerated() throws IOException {
    List<byte[]> real = new ArrayList<>();
    for (int i = 0; i < Math.min(samples.size(), data.size()); i++) {
      byte[] picture = new byte[data.shape().values()];
      data.copyPixels(i, picture, 0);
      real.add(picture);
    }
    Path file = folder.resolve("real-vs-generated.png");
    SampleGrid.write(file, data.shape(), real, samples);
    log.info("real pictures beside generated ones: {}", file);
  }

  private Path samplesFolder() {
    return folder.resolve("samples");
  }

  private Path checkpointsFolder() {
    return folder.resolve("checkpoints");
  }
}
