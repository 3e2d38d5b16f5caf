package dev.dcgan.trainer.cli.client;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Validator;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.PublishModelRequest;
import java.io.IOException;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer publish}: publishes a checkpoint of a run of a service. */
@Command(
    name = "publish",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Publishes the generator of a checkpoint of a run of a service, and prints the version."
    })
public final class PublishCommand implements Settings.Command {

  @Mixin private ServiceOptions service = new ServiceOptions();

  @Option(
      names = "--checkpoint",
      paramLabel = "FILE",
      description = "Name of one of the run's checkpoint files. Default: the newest")
  private @Nullable String checkpoint;

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The name to publish under. Default: the run's")
  private @Nullable String model;

  private final PrintStream console = System.out;

  @Override
  public void check(Validator problems) {
    service.check(problems);
    problems.requireMatches("--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
  }

  @Override
  public Integer call() throws IOException {
    try (TrainerClient client = service.client()) {
      ModelVersion version =
          client.publish(
              PublishModelRequest.newBuilder()
                  .setRunId(service.run())
                  .setCheckpoint(checkpoint == null ? "" : checkpoint)
                  .setModel(model == null ? "" : model)
                  .build());
      console.println(version.getName() + "/" + version.getVersion());
    }
    return 0;
  }
}
