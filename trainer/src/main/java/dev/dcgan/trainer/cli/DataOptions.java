package dev.dcgan.trainer.cli;

import dev.dcgan.server.Validator;
import dev.dcgan.v1.RunConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** On the command line: which pictures, and what their quality is measured by. */
final class DataOptions {

  @Option(
      names = "--data",
      paramLabel = "PATH",
      description =
          "Pictures to learn from: a folder of IDX files (MNIST and its like) or one such file, a folder of pictures, CIFAR-10's binary batches, or a zip of pictures.")
  private @Nullable Path data;

  @Option(
      names = "--dataset",
      paramLabel = "NAME",
      description =
          "Pictures that need no files: digits, drawn by the program. Used without --data.")
  private @Nullable String dataset;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "How many digits to draw. Default: 20000",
      converter = UnsignedConverter.class)
  private @Nullable Integer images;

  @Option(
      names = "--held-out",
      paramLabel = "SHARE",
      description =
          "Never trained on, for measuring quality, where the data has no test split. Default: 0.1")
  private @Nullable Float heldOut;

  @Option(
      names = "--max-unreadable",
      paramLabel = "N",
      description =
          "Files that may be unreadable and are skipped. Default: one in a hundred, at least one",
      converter = UnsignedConverter.class)
  private @Nullable Integer maxUnreadable;

  @Option(
      names = "--evaluation-images",
      paramLabel = "N",
      description = "Generated pictures in a measurement. Default: 5000",
      converter = UnsignedConverter.class)
  private @Nullable Integer evaluationImages;

  @Option(
      names = "--features",
      paramLabel = "FILE",
      description =
          "An ONNX model to measure quality by, in place of a classifier of the data's labels.")
  private @Nullable Path features;

  void check(Validator problems) {
    requireExists(problems, "--data", data);
    requireExists(problems, "--features", features);
  }

  private static void requireExists(Validator problems, String option, @Nullable Path path) {
    problems.require(
        path == null || Files.exists(path), option + " " + path + ": no such file or folder");
  }

  /** Whether the pictures are named. */
  boolean isGiven() {
    return data != null || dataset != null;
  }

  /** Sets what was given, with absolute paths. */
  void addTo(RunConfig.Builder config) {
    addTo(config, path -> path.toAbsolutePath().normalize());
  }

  /** Sets what was given, with the paths as a service is to have them. */
  void addTo(RunConfig.Builder config, UnaryOperator<Path> paths) {
    if (data != null) {
      config.setData(paths.apply(data).toString());
    }
    if (dataset != null) {
      config.setDataset(dataset);
    }
    if (images != null) {
      config.setImages(images);
    }
    if (heldOut != null) {
      config.setHeldOut(heldOut);
    }
    if (maxUnreadable != null) {
      config.setMaxUnreadable(maxUnreadable);
    }
    if (evaluationImages != null) {
      config.setEvaluationImages(evaluationImages);
    }
    if (features != null) {
      config.setFeatures(paths.apply(features).toString());
    }
  }
}
