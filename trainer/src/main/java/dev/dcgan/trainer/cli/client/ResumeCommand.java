package dev.dcgan.trainer.cli.client;

import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.ResumeRunRequest;
import java.io.IOException;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer resume}: continues a run of a service as a new run. */
@Command(
    name = "resume",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Queues a new run that continues one of a service, and prints its id.",
      "It starts from the newest checkpoint of a run that STOPPED or FAILED, or with a larger"
          + " --epochs of one that SUCCEEDED. Without any checkpoint it starts from the beginning."
    })
public final class ResumeCommand implements Settings.Command {

  @Mixin private ServiceOptions service = new ServiceOptions();

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Total number of epochs. Default: that of the run")
  private @Nullable Integer epochs;

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    service.check(problems);
    if (epochs != null) {
      problems.requireRange("--epochs", epochs, 1, 100_000);
    }
  }

  @Override
  public Integer call() throws IOException {
    try (TrainerClient client = service.client()) {
      ResumeRunRequest.Builder request = ResumeRunRequest.newBuilder().setRunId(service.run());
      if (epochs != null) {
        request.setEpochs(epochs);
      }
      console.println(client.resume(request.build()).getId());
    }
    return 0;
  }
}
