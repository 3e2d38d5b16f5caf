package dev.dcgan.server;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** What a program says of its command line and environment, without running. */
public final class DryRun {

  // With it the command line is always wrong, so that nothing starts: all that is wrong is reported
  // at once.
  private static final String NO_OPTION = "--this-is-no-option";
  private static final String NO_PROBLEM = "error: Unknown option: '" + NO_OPTION + "'";

  private DryRun() {}

  /**
   * The lines that it would end with.
   *
   * @param program its main class, with picocli's annotations
   */
  public static List<String> problems(
      Class<?> program, Map<String, String> environment, List<String> args) {
    List<String> wrong = new ArrayList<>(args);
    wrong.add(NO_OPTION);
    StringWriter err = new StringWriter();
    int code =
        Settings.run(program, environment, new PrintWriter(err), wrong.toArray(String[]::new));
    List<String> lines = err.toString().lines().filter(line -> line.startsWith("error: ")).toList();
    if (code != 2 || lines.isEmpty()) {
      throw new AssertionError("exit code %d, and it said: %s".formatted(code, err));
    }
    return lines.stream().filter(line -> !line.equals(NO_PROBLEM)).toList();
  }

  /** The options of the command that the first word names; none where there is no such command. */
  public static List<String> options(Class<?> program, List<String> args) {
    CommandLine command = new CommandLine(program).getSubcommands().get(args.get(0));
    return command == null
        ? List.of()
        : command.getCommandSpec().options().stream().map(OptionSpec::longestName).toList();
  }

  /** An option's default: an Integer, a Duration, or text that stands for it. */
  public static Object value(Class<?> program, String command, String option) {
    CommandLine line =
        Objects.requireNonNull(new CommandLine(program).getSubcommands().get(command), command);
    OptionSpec spec = line.getCommandSpec().findOption(option);
    return Objects.requireNonNull(
        spec.defaultValue() == null ? spec.<Object>getValue() : spec.defaultValue(), option);
  }

  /** As the programs read one. */
  public static Duration duration(String text) {
    return new DurationConverter().convert(text);
  }
}
