package dev.dcgan.trainer.cli.client;

import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.io.PrintStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code trainer stop}: stops a run of a service. */
@Command(
    name = "stop",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Stops a run of a service, and prints its state.",
      "An active run writes a checkpoint first; `trainer resume` continues it."
    })
public final class StopCommand implements Settings.Command {

  @Mixin private ServiceOptions service = new ServiceOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    service.check(problems);
  }

  @Override
  public Integer call() throws IOException {
    try (TrainerClient client = service.client()) {
      Run run = client.stop(service.run());
      console.println(run.getId() + " " + RunLines.stopping(run));
    }
    return 0;
  }
}
