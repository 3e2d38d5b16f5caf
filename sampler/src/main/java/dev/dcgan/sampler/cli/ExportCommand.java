package dev.dcgan.sampler.cli;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.export.Exporter;
import dev.dcgan.sampler.export.Shards;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.server.Validator;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.server.Uint64Converter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler export}: images of a seed in bulk, without a server. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Writes images [first, first + count) of a seed as PNG into tar files, as",
      "WebDataset reads them. Several parts may share the work; the files are the",
      "same however many there are, and image i is the one that Generate gives.",
      "The exit code is 75 where it was stopped before the end: try again."
    })
public final class ExportCommand implements Settings.Command {

  private static final int MOST_PARTS = 1_000_000;

  @Option(names = "--repository", description = "The folder with the models.")
  private Path repository = Path.of("models");

  @Option(names = "--model", required = true, description = "The model.")
  private @Nullable String model;

  @Option(
      names = "--model-version",
      description =
          "Its version. Default: the one that the export was begun with, else the one that is"
              + " pinned, else the newest valid one")
  private @Nullable Long version;

  @Option(
      names = "--seed",
      required = true,
      showDefaultValue = Visibility.NEVER,
      description = "Names the sequence of images.",
      converter = Uint64Converter.class)
  private long seed;

  @Option(
      names = "--first",
      description = "The first image of the sequence.",
      converter = Uint64Converter.class)
  private long first;

  @Option(names = "--count", required = true, description = "How many images, in all parts.")
  private @Nullable Long count;

  @Option(
      names = "--out",
      required = true,
      description = "The folder for the shards of all parts; made where it does not exist.")
  private @Nullable Path out;

  @Option(names = "--shard-images", description = "Images in a shard.")
  private int shardImages = 10_000;

  @Option(names = "--part", description = "Which part to write: 0 to --parts less 1.")
  private int part;

  @Option(
      names = "--parts",
      description = "How many parts share the work, a block of whole shards each.")
  private int parts = 1;

  @Option(
      names = "--keep-existing",
      description = "Leave the shards that are there, which are whole, and write the others.")
  private boolean keepExisting;

  @Mixin private RuntimeOptions runtime = new RuntimeOptions();

  @Override
  public void check(Validator problems) {
    problems.requireMatches(
        "--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    if (version != null) {
      problems.requireRange("--model-version", version, 1, ModelRepository.MAX_VERSION);
    }
    // Without --count, which is reported already, what is wrong with the others.
    Shards.problems(first, count == null ? 1 : count, shardImages).forEach(problems::add);
    problems.requireRange("--parts", parts, 1, MOST_PARTS);
    problems.requireRange("--part", part, 0, Math.max(1, parts) - 1);
    runtime.check(problems);
    problems.requireNoTelemetry("bin/sampler");
  }

  @Override
  public Integer call() throws IOException {
    AtomicBoolean stopped = new AtomicBoolean();
    Shutdown.onSignal(() -> stopped.set(true));
    Provider chosen = runtime.chooseProvider();
    Exporter exporter =
        new Exporter(
            new Exporter.Config(
                new ModelRepository(repository),
                Objects.requireNonNull(model, "checked"),
                version == null ? 0 : version,
                seed,
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
