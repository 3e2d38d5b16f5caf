package dev.dcgan.sampler.cli;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.export.ExportConfig;
import dev.dcgan.sampler.export.Exporter;
import dev.dcgan.sampler.export.Shards;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.server.Uint64Converter;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler export}: exports images of a seed in bulk, without a server. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Writes images of a seed into tar files in the WebDataset format, without a server.",
      "They are the images [first, first + count) as PNG, and image i is the one that Generate"
          + " returns. Several parts may share the work: the files are the same for any number of"
          + " parts.",
      "The exit code is 75 if it was stopped before the end: try again."
    })
public final class ExportCommand implements Settings.Command {

  private static final int MAX_PARTS = 1_000_000;

  @Mixin private RepositoryOptions repository = new RepositoryOptions();

  @Option(names = "--model", required = true, description = "The model.")
  private @Nullable String model;

  @Option(
      names = "--model-version",
      description =
          "Model version. Default: the one that the export was begun with, else the pinned one,"
              + " else the newest valid one")
  private @Nullable Long version;

  @Option(
      names = "--seed",
      required = true,
      showDefaultValue = Visibility.NEVER,
      description = "Random seed of the sequence of images.",
      converter = Uint64Converter.class)
  private long seed;

  @Option(
      names = "--label",
      showDefaultValue = Visibility.NEVER,
      description =
          "Class of the images: its name, or its position in the manifest. Given several times:"
              + " each image is of one of them. Default: as the training images have them")
  private List<String> labels = List.of();

  @Option(
      names = "--first",
      description = "Index of the first image in the sequence.",
      converter = Uint64Converter.class)
  private long first;

  @Option(
      names = "--count",
      required = true,
      description = "Number of images in all parts together.")
  private @Nullable Long count;

  @Option(
      names = "--out",
      required = true,
      description = "Output folder for the shards of all parts; created if it does not exist.")
  private @Nullable Path out;

  @Option(names = "--shard-images", description = "Images per shard.")
  private int shardImages = 10_000;

  @Option(names = "--part", description = "The part to write: 0 to --parts - 1.")
  private int part;

  @Option(
      names = "--parts",
      description = "Number of parts that share the work; each writes a block of whole shards.")
  private int parts = 1;

  @Option(
      names = "--keep-existing",
      description = "Keep existing shards, which are complete, and write only the missing ones.")
  private boolean keepExisting;

  @Mixin private RuntimeOptions runtime = new RuntimeOptions();

  @Override
  public void check(Validator problems) {
    problems.requireMatches("--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    if (version != null) {
      problems.requireRange("--model-version", version, 1, ModelRepository.MAX_VERSION);
    }
    // A missing --count is reported already; 1 stands in for it, to check the other options.
    Shards.problems(first, count == null ? 1 : count, shardImages).forEach(problems::add);
    problems.requireRange("--parts", parts, 1, MAX_PARTS);
    problems.requireRange("--part", part, 0, Math.max(1, parts) - 1);
    runtime.check(problems);
    repository.check(problems);
    problems.requireNoTelemetry("bin/sampler");
  }

  @Override
  public Integer call() throws IOException {
    AtomicBoolean stopped = new AtomicBoolean();
    Shutdown.onSignal(() -> stopped.set(true));
    Provider chosen = runtime.chooseProvider();
    Exporter exporter =
        new Exporter(
            new ExportConfig(
                repository.repository(),
                Objects.requireNonNull(model, "checked"),
                version == null ? 0 : version,
                seed,
                labels,
                new Shards(first, Objects.requireNonNull(count, "checked"), shardImages),
                part,
                parts,
                Objects.requireNonNull(out, "checked"),
                keepExisting,
                runtime.settings(chosen),
                runtime.sessions(chosen),
                runtime.maxBatch()),
            stopped::get);
    return exporter.run() ? 0 : Shutdown.TRY_AGAIN;
  }
}
