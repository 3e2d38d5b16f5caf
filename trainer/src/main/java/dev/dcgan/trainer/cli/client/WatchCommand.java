package dev.dcgan.trainer.cli.client;

import com.google.protobuf.util.Timestamps;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

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

  @Mixin private ServiceOptions service = new ServiceOptions();

  private final PrintStream console = System.out;

  // Mutable state
  private RunState last = RunState.RUN_STATE_UNSPECIFIED;

  @Override
  public void check(Validator problems) {
    service.check(problems);
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    try (TrainerClient client = service.client()) {
      int epochs = client.run(service.run()).getConfig().getEpochs();
      client.watch(service.run(), event -> show(event, epochs));
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
