package dev.dcgan.trainer;

import dev.dcgan.server.Settings;
import dev.dcgan.trainer.cli.BenchmarkCommand;
import dev.dcgan.trainer.cli.EvaluateCommand;
import dev.dcgan.trainer.cli.ExportCommand;
import dev.dcgan.trainer.cli.KeygenCommand;
import dev.dcgan.trainer.cli.ServeCommand;
import dev.dcgan.trainer.cli.TrainCommand;
import dev.dcgan.trainer.cli.client.PublishCommand;
import dev.dcgan.trainer.cli.client.ResumeCommand;
import dev.dcgan.trainer.cli.client.RunsCommand;
import dev.dcgan.trainer.cli.client.StartCommand;
import dev.dcgan.trainer.cli.client.StopCommand;
import dev.dcgan.trainer.cli.client.WatchCommand;
import picocli.CommandLine.Command;

/** The trainer's command line. */
@Command(
    name = "trainer",
    description = "Trains a DCGAN on images and publishes its generator.",
    mixinStandardHelpOptions = true,
    footer = {
      "To see the options of a command: trainer COMMAND --help.",
      "The exit code is 0 for success, 1 for a failure and 2 for wrong options."
    },
    subcommands = {
      TrainCommand.class,
      ServeCommand.class,
      StartCommand.class,
      RunsCommand.class,
      WatchCommand.class,
      StopCommand.class,
      ResumeCommand.class,
      PublishCommand.class,
      ExportCommand.class,
      EvaluateCommand.class,
      BenchmarkCommand.class,
      KeygenCommand.class
    })
public final class TrainerMain {

  private TrainerMain() {}

  public static void main(String[] args) {
    System.exit(Settings.run(new TrainerMain(), args));
  }
}
