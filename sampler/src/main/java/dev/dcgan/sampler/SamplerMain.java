package dev.dcgan.sampler;

import dev.dcgan.sampler.cli.ExportCommand;
import dev.dcgan.sampler.cli.ServeCommand;
import dev.dcgan.sampler.cli.client.BenchCommand;
import dev.dcgan.sampler.cli.client.GenerateCommand;
import dev.dcgan.sampler.cli.client.ModelsCommand;
import dev.dcgan.server.Settings;
import picocli.CommandLine.Command;

/** The program {@code sampler}. */
@Command(
    name = "sampler",
    mixinStandardHelpOptions = true,
    description =
        "Serves trained generators over gRPC and HTTP; generates, load-tests and exports images.",
    subcommands = {
      ServeCommand.class,
      GenerateCommand.class,
      ModelsCommand.class,
      ExportCommand.class,
      BenchCommand.class
    })
public final class SamplerMain {

  private SamplerMain() {}

  public static void main(String[] args) {
    System.exit(Settings.run(new SamplerMain(), args));
  }
}
