package dev.dcgan.trainer.checkpoint;

import com.google.gson.Gson;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Checkpoints on disk: a {@link SafetensorsFile} with the string {@code run} (JSON: architecture,
 * hyperparameters, dataset, epoch, step).
 */
public final class CheckpointFile {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 2);
  private static final String RUN = "run";
  private static final Gson GSON = new Gson();

  /** What a resume must know beside the tensors; the architecture by the arguments that make it. */
  private record Run(
      String architecture,
      int channels,
      int latentSize,
      int width,
      Hyperparameters hyperparameters,
      Checkpoint.Dataset dataset,
      int epoch,
      long step) {}

  private CheckpointFile() {}

  /**
   * Writes the checkpoint, whole or not at all.
   *
   * @throws IOException the file, if there was one, is untouched
   */
  public static void write(Path file, Checkpoint checkpoint) throws IOException {
    FORMAT.write(
        file,
        new SafetensorsFile.Content(Map.of(RUN, GSON.toJson(run(checkpoint))), checkpoint.tensors()));
  }

  /**
   * Verifies a checkpoint as a whole, and describes it; its tensors are read from the file when
   * they are needed.
   *
   * @throws DamagedFileException it is not what was written
   * @throws IOException missing, or of a newer format; the message says which
   */
  public static Checkpoint read(Path file) throws IOException {
    SafetensorsFile.Content content = FORMAT.read(file);
    try {
      String run = content.metadata().get(RUN);
      if (run == null) {
        throw new IllegalArgumentException("it lacks the string '" + RUN + "'");
      }
      return checkpoint(GSON.fromJson(run, Run.class), content.tensors());
    } catch (RuntimeException e) {
      // Gson and the records tell of a malformed run each by exceptions of their own.
      throw new DamagedFileException(file + " is not a valid checkpoint: " + e.getMessage(), e);
    }
  }

  private static Run run(Checkpoint checkpoint) {
    Architecture architecture = checkpoint.architecture();
    return new Run(
        architecture.name(),
        architecture.shape().channels(),
        architecture.latentSize(),
        architecture.width(),
        checkpoint.hyperparameters(),
        checkpoint.dataset(),
        checkpoint.epoch(),
        checkpoint.step());
  }

  private static Checkpoint checkpoint(Run run, Map<String, Tensor> tensors) {
    return new Checkpoint(
        Architecture.of(run.architecture, run.channels, run.latentSize, run.width),
        run.hyperparameters,
        run.dataset,
        run.epoch,
        run.step,
        tensors);
  }
}
