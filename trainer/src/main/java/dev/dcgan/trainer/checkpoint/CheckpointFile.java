package dev.dcgan.trainer.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.reflect.TypeToken;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Checkpoints on disk: a {@link SafetensorsFile} with the string {@code run} (JSON: architecture,
 * hyperparameters, dataset, epoch, step) and, if the generator was evaluated, the string {@code
 * quality} (JSON: metrics by name). A file without {@code quality} is read as one that was not
 * evaluated, so the format version does not tell the two apart.
 */
public final class CheckpointFile {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 2);
  private static final String RUN = "run";
  private static final String QUALITY = "quality";
  // A metric may be NaN or infinite.
  private static final Gson GSON = new GsonBuilder().serializeSpecialFloatingPointValues().create();
  private static final TypeToken<LinkedHashMap<String, Double>> METRICS = new TypeToken<>() {};

  /** What a resume needs beside the tensors; the architecture as the arguments that create it. */
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
   * @throws IOException the write failed; an existing file is unchanged
   */
  public static void write(Path file, Checkpoint checkpoint) throws IOException {
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put(RUN, GSON.toJson(run(checkpoint)));
    if (!checkpoint.quality().isEmpty()) {
      metadata.put(QUALITY, GSON.toJson(checkpoint.quality()));
    }
    FORMAT.write(file, new SafetensorsFile.Content(metadata, checkpoint.tensors()));
  }

  /**
   * Verifies a whole checkpoint and describes it; the values of its tensors are read from the file
   * when they are needed.
   *
   * @throws DamagedFileException the digest or the content is wrong
   * @throws IOException the file is missing or of a newer format
   */
  public static Checkpoint read(Path file) throws IOException {
    SafetensorsFile.Content content = FORMAT.read(file);
    try {
      String run = content.metadata().get(RUN);
      if (run == null) {
        throw new IllegalArgumentException("it lacks the string '" + RUN + "'");
      }
      String quality = content.metadata().get(QUALITY);
      return checkpoint(GSON.fromJson(run, Run.class), content.tensors())
          .withQuality(quality == null ? Map.of() : GSON.fromJson(quality, METRICS));
    } catch (RuntimeException e) {
      // Gson and the records each throw exceptions of their own for malformed metadata.
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
