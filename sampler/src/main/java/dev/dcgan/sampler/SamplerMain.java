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
    footer = {
      "To see the options of a command: sampler COMMAND --help.",
      "The exit code is 0 for success, 1 for a failure and 2 for wrong options."
    },
    description = "Serves trained generators over gRPC and HTTP, and calls a running sampler.",
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
