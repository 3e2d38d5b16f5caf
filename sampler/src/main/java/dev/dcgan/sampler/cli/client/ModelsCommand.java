package dev.dcgan.sampler.cli.client;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.RepositorySurvey;
import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ServedModel;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler models}: lists models. */
@Command(
    name = "models",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Lists the models of a running sampler or of a repository folder.",
      "VERSION is the version in service; for a folder, the one that a sampler would serve."
          + " A line that begins with 'skipped:' names each file, folder or version that is not"
          + " served, and the reason."
    })
public final class ModelsCommand implements Settings.Command {

  private static final String DEFAULT_TARGET = "localhost:50051";
  private static final List<String> HEADER =
      List.of("MODEL", "VERSION", "PINNED", "IMAGE", "LATENT", "CLASSES", "VERIFIED", "VERSIONS");
  private static final String NONE = "-";

  @Option(
      names = "--target",
      paramLabel = "HOST:PORT",
      showDefaultValue = Visibility.NEVER,
      description = "The sampler's host:port. Default, without --repository: " + DEFAULT_TARGET)
  private @Nullable String target;

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      showDefaultValue = Visibility.NEVER,
      description = "Read this model repository instead, without a sampler.")
  private @Nullable Path repository;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout for the response of the sampler. Default: 60s")
  private Duration timeout = Duration.ofSeconds(60);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    problems.require(target == null || !target.isBlank(), "--target is empty: expected host:port");
    problems.require(
        target == null || repository == null,
        "--target and --repository: expected either one or the other");
    problems.require(
        repository == null || Files.isDirectory(repository),
        "--repository " + repository + ": no such folder");
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
    tls.check(problems);
  }

  @Override
  public Integer call() throws IOException {
    List<List<String>> rows = new ArrayList<>(List.of(HEADER));
    List<String> skipped = new ArrayList<>();
    if (repository == null) {
      addServed(rows, skipped);
    } else {
      addFound(new ModelRepository(repository), rows, skipped);
    }
    if (rows.size() == 1) {
      console.println("no models");
    } else {
      table(rows).forEach(console::println);
    }
    skipped.forEach(line -> console.println("skipped: " + line));
    return 0;
  }

  private void addServed(List<List<String>> rows, List<String> skipped) throws IOException {
    String address = target == null ? DEFAULT_TARGET : target;
    try (SamplerClient client = SamplerClient.of(tls.target(address), timeout)) {
      ListModelsResponse response = client.models();
      for (ServedModel model : response.getModelsList()) {
        rows.add(
            row(
                model.getManifest(),
                model.getServingVersion(),
                model.getPinnedVersion(),
                !model.getUnverified(),
                model.getAvailableVersionsList()));
      }
      response
          .getSkippedList()
          .forEach(entry -> skipped.add(entry.getPath() + ": " + entry.getReason()));
      int more = response.getSkippedTotal() - response.getSkippedCount();
      if (more > 0) {
        skipped.add("%d more, which the log of the sampler names".formatted(more));
      }
    }
  }

  private static void addFound(
      ModelRepository repository, List<List<String>> rows, List<String> skipped)
      throws IOException {
    RepositorySurvey survey = repository.survey();
    survey.skipped().forEach(entry -> skipped.add(entry.toString()));
    for (RepositorySurvey.Model model : survey.models()) {
      List<ModelManifest> valid = new ArrayList<>();
      for (long version : model.versions()) {
        String where = repository.root().resolve(model.name()).resolve(version + "").toString();
        try {
          if (repository.isBare(model.name(), version)) {
            skipped.add(where + " has no manifest.json; it is served with --allow-unverified only");
          } else {
            valid.add(repository.describe(model.name(), version).manifest());
          }
        } catch (IOException e) {
          String message = ErrorMessages.oneLine(e);
          skipped.add(message.contains(where) ? message : where + ": " + message);
        }
      }
      addFound(model.name(), model.pinned().orElse(0), valid, rows, skipped);
    }
  }

  private static void addFound(
      String model,
      long pinned,
      List<ModelManifest> valid,
      List<List<String>> rows,
      List<String> skipped) {
    if (valid.isEmpty()) {
      return;
    }
    List<Long> versions = valid.stream().map(found -> found.getModel().getVersion()).toList();
    int serving = Math.max(0, versions.indexOf(pinned));
    if (pinned != 0 && !versions.contains(pinned)) {
      skipped.add(
          "the pin of %s names version %d, which is not valid; the newest valid version is served"
              .formatted(model, pinned));
    }
    rows.add(row(valid.get(serving), versions.get(serving), pinned, true, versions));
  }

  private static List<String> row(
      ModelManifest manifest, long version, long pinned, boolean verified, List<Long> versions) {
    return List.of(
        manifest.getModel().getName(),
        Long.toString(version),
        pinned == 0 ? NONE : Long.toString(pinned),
        ImageShape.fromProto(manifest.getShape()).toString(),
        Integer.toString(manifest.getLatentSize()),
        manifest.getClassesCount() == 0 ? NONE : Integer.toString(manifest.getClassesCount()),
        verified ? "yes" : "no",
        versions.stream().map(String::valueOf).collect(Collectors.joining(",")));
  }

  private static List<String> table(List<List<String>> rows) {
    return rows.stream()
        .map(
            row -> {
              StringBuilder line = new StringBuilder();
              for (int i = 0; i < row.size(); i++) {
                int padding = width(rows, i) - row.get(i).length() + 2;
                line.append(row.get(i)).append(" ".repeat(padding));
              }
              return line.toString().stripTrailing();
            })
        .toList();
  }

  private static int width(List<List<String>> rows, int column) {
    return rows.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
  }
}
