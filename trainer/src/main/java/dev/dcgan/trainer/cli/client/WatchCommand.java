package dev.dcgan.trainer.cli.client;

import com.google.protobuf.util.Timestamps;
import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code trainer watch}: shows the events of a run. */
@Command(
    name = "watch",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Shows the events of a run of a service, from the first until the run ends.",
      "The exit code is 1 if the run FAILED, 0 if it SUCCEEDED or was STOPPED."
    })
public final class WatchCommand implements Settings.Command {

  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss").withZone(ZoneId.systemDefault());

  @Parameters(
      paramLabel = "RUN",
      arity = "1",
      showDefaultValue = Visibility.NEVER,
      description = "The run's id, see `trainer runs`.")
  private String run = "";

  @Option(names = "--target", description = "The service's host:port.")
  private String target = "localhost:50061";

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout of the first response. Default: 30s")
  private Duration timeout = Duration.ofSeconds(30);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  // Mutable state
  private RunState last = RunState.RUN_STATE_UNSPECIFIED;

  @Override
  public void check(Validator problems) {
    problems.require(run.isEmpty() || RunStore.isId(run), "RUN '%s': not a run id".formatted(run));
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    tls.check(problems);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (TrainerClient client = TrainerClient.of(tls.target(target), timeout)) {
      int epochs = client.run(run).getConfig().getEpochs();
      client.watch(run, event -> show(event, epochs));
    }
    return last == RunState.RUN_STATE_FAILED ? 1 : 0;
  }

  private void show(RunEvent event, int epochs) {
    if (event.hasStateChanged()) {
      last = event.getStateChanged().getState();
    }
    Instant time = Instant.ofEpochMilli(Timestamps.toMillis(event.getTime()));
    RunLines.line(event, epochs)
        .ifPresent(line -> console.println(TIME.format(time) + "  " + line));
  }
}
