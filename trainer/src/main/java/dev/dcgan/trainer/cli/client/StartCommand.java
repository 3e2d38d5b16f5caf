package dev.dcgan.trainer.cli.client;

import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.cli.ConfigOptions;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer start}: starts a run of a service. */
@Command(
    name = "start",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Starts a run of a service and prints its id.",
      "To follow it: trainer watch $(trainer start --epochs 10).",
      "--data and --features are paths below the service's --data-root."
    })
public final class StartCommand implements Settings.Command {

  @Option(names = "--target", description = "The service's host:port.")
  private String target = "localhost:50061";

  @Mixin private ConfigOptions options = new ConfigOptions();

  @Option(
      names = "--model",
      paramLabel = "NAME",
      showDefaultValue = Visibility.NEVER,
      description = "The name to publish under. Default: the preset's")
  private String model = "";

  @Option(
      names = "--timeout",
      showDefaultValue = Visibility.NEVER,
      description = "Timeout of the call. Default: 30s")
  private Duration timeout = Duration.ofSeconds(30);

  @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    options.checkForService(model, problems);
    tls.check(problems);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
  }

  @Override
  public Integer call() throws IOException {
    try (TrainerClient client = TrainerClient.of(tls.target(target), timeout)) {
      console.println(client.start(options.configForService(model)).getId());
    }
    return 0;
  }
}
