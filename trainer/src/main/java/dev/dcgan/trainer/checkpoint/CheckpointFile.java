package dev.dcgan.trainer.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonDeserializationContext;
import com.google.gson.JsonDeserializer;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonSerializationContext;
import com.google.gson.JsonSerializer;
import com.google.gson.reflect.TypeToken;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.lang.reflect.Type;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Checkpoints on disk: a {@link SafetensorsFile} with the string {@code run} (JSON: architecture,
 * hyperparameters, dataset, epoch, step) and, if the generator was evaluated, the string {@code
 * quality} (JSON: metrics by name). A file without {@code quality} is read as one that was not
 * evaluated, so the format version does not tell the two apart. That of a run that is conditional
 * or has {@link Extensions} has the format version 3, so that older programs refuse it.
 */
public final class CheckpointFile {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 2);
  private static final SafetensorsFile EXTENDED = new SafetensorsFile("checkpoint", 3);
  private static final String RUN = "run";
  private static final String QUALITY = "quality";
  // A metric may be NaN or infinite.
  private static final Gson GSON =
      new GsonBuilder()
          .serializeSpecialFloatingPointValues()
          .registerTypeAdapter(ImageClasses.class, new ClassesAdapter())
          .create();
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

  /** A class as {@code {"name": "cat", "images": 500}}. */
  private record NamedClass(String name, long images) {}

  private static final class ClassesAdapter
      implements JsonSerializer<ImageClasses>, JsonDeserializer<ImageClasses> {

    @Override
    public JsonElement serialize(
        ImageClasses classes, Type type, JsonSerializationContext context) {
      return context.serialize(
          classes.toProto().stream()
              .map(each -> new NamedClass(each.getName(), each.getImages()))
              .toList());
    }

    @Override
    public ImageClasses deserialize(
        JsonElement json, Type type, JsonDeserializationContext context) {
      NamedClass[] classes = context.deserialize(json, NamedClass[].class);
      return new ImageClasses(
          Stream.of(classes).map(NamedClass::name).toList(),
          Stream.of(classes).map(NamedClass::images).toList());
    }
  }

  private CheckpointFile() {}

  /**
   * Writes the checkpoint, whole or not at all.
   *
   * @throws IOException the write failed; an existing file is unchanged
   */
  public static void write(Path file, Checkpoint checkpoint) throws IOException {
    Map<String, String> metadata = new LinkedHashMap<>();
    boolean extended = !checkpoint.hyperparameters().extensions().equals(Extensions.NONE);
    JsonObject run = GSON.toJsonTree(run(checkpoint)).getAsJsonObject();
    if (!extended) {
      run.getAsJsonObject("hyperparameters").remove("extensions");
    }
    metadata.put(RUN, GSON.toJson(run));
    if (!checkpoint.quality().isEmpty()) {
      metadata.put(QUALITY, GSON.toJson(checkpoint.quality()));
    }
    SafetensorsFile format =
        extended || checkpoint.architecture().classes() > 0 ? EXTENDED : FORMAT;
    format.write(file, new SafetensorsFile.Content(metadata, checkpoint.tensors()));
  }

  /**
   * Verifies a whole checkpoint and describes it; the values of its tensors are read from the file
   * when they are needed.
   *
   * @throws DamagedFileException the digest or the content is wrong
   * @throws IOException the file is missing or of a newer format
   */
  public static Checkpoint read(Path file) throws IOException {
    return checkpoint(file, EXTENDED.read(file));
  }

  /** The checkpoint in a file whose digest is verified. */
  static Checkpoint checkpoint(Path file, SafetensorsFile.Content content) throws IOException {
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
    @Nullable ImageClasses classes = run.dataset.classes();
    return new Checkpoint(
        Architecture.of(run.architecture, run.channels, run.latentSize, run.width)
            .withClasses(classes == null ? 0 : classes.size()),
        run.hyperparameters,
        run.dataset,
        run.epoch,
        run.step,
        tensors);
  }
}
