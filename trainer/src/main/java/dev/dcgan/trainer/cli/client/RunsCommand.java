package dev.dcgan.trainer.cli.client;

import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer runs}: lists runs. */
@Command(
    name = "runs",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Lists the runs of a service or in a folder, newest first.",
      "FRECHET is the Frechet distance in the features of evaluation, which is not comparable with"
          + " Inception FID."
    })
public final class RunsCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(RunsCommand.class);
  private static final String DEFAULT_TARGET = "localhost:50061";

  @Option(
      names = "--target",
      showDefaultValue = Visibility.NEVER,
      description = "The service's host:port. Default, without --runs: " + DEFAULT_TARGET)
  private @Nullable String target;

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Read this folder of runs instead of calling a service.")
  private @Nullable Path runs;

  @Option(names = "--limit", description = "Maximum number of runs.")
  private int limit = 50;

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout of each call. Default: 30s")
  private Duration timeout = Duration.ofSeconds(30);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    problems.require(target == null || !target.isBlank(), "--target is empty: expected host:port");
    problems.require(
        target == null || runs == null,
        "--target %s beside --runs %s: expected one of them".formatted(target, runs));
    problems.require(
        runs == null || Files.isDirectory(runs), "--runs " + runs + ": no such folder");
    tls.check(problems);
    problems.requireRange("--limit", limit, 1, 1_000_000);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
  }

  @Override
  public Integer call() throws IOException {
    List<Run> found = runs != null ? inFolder(runs) : ofService();
    if (found.isEmpty()) {
      console.println("no runs yet");
    } else {
      RunLines.table(found).forEach(console::println);
    }
    return 0;
  }

  private List<Run> ofService() throws IOException {
    try (TrainerClient client =
        TrainerClient.of(tls.target(target == null ? DEFAULT_TARGET : target), timeout)) {
      return client.runs(limit);
    }
  }

  private List<Run> inFolder(Path folder) throws IOException {
    List<Run> found = new ArrayList<>();
    for (RunDirectory run : new RunStore(folder, InstantSource.system()).list()) {
      if (found.size() == limit) {
        break;
      }
      try {
        found.add(run.readNow());
      } catch (IOException e) {
        log.warn("{}", e.getMessage());
      }
    }
    return found;
  }
}
