package dev.dcgan.trainer.cli.client;

import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.run.RunStore;
import java.io.IOException;
import java.time.Duration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** A run of a service: its id, and how to reach the service. */
@Command
final class ServiceOptions {

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

  String run() {
    return run;
  }

  void check(Validator problems) {
    problems.require(run.isEmpty() || RunStore.isId(run), "RUN '%s': not a run id".formatted(run));
    problems.require(!target.isBlank(), "--target is empty: expected host:port");
    tls.check(problems);
    problems.requireRange("--timeout (in ms)", timeout.toMillis(), 1, 3_600_000);
  }

  TrainerClient client() throws IOException {
    return TrainerClient.of(tls.target(target), timeout);
  }
}
