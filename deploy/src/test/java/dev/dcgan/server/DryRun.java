package dev.dcgan.server;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** Asks a program about its command line and environment without running it. */
public final class DryRun {

  // This option makes every command line invalid, so that nothing starts and all problems are
  // reported.
  private static final String NO_OPTION = "--this-is-no-option";
  private static final String NO_PROBLEM = "error: Unknown option: '" + NO_OPTION + "'";
  private static final Pattern DEFAULT = Pattern.compile("Default(?:, [^:]*)?: (.+?)\\.?$");

  private DryRun() {}

  /**
   * The problems that the program would report.
   *
   * @param program the main class, which has the picocli annotations
   */
  public static List<String> problems(
      Class<?> program, Map<String, String> environment, List<String> args) {
    List<String> invalid = new ArrayList<>(args);
    invalid.add(NO_OPTION);
    StringWriter err = new StringWriter();
    int code =
        Settings.run(program, environment, new PrintWriter(err), invalid.toArray(String[]::new));
    List<String> lines = err.toString().lines().filter(line -> line.startsWith("error: ")).toList();
    if (code != 2 || lines.isEmpty()) {
      throw new AssertionError("exit code %d with the output: %s".formatted(code, err));
    }
    return lines.stream().filter(line -> !line.equals(NO_PROBLEM)).toList();
  }

  /** The options of the command that the first argument names; none if there is no such command. */
  public static List<String> options(Class<?> program, List<String> args) {
    CommandLine command = new CommandLine(program).getSubcommands().get(args.get(0));
    return command == null
        ? List.of()
        : command.getCommandSpec().options().stream().map(OptionSpec::longestName).toList();
  }

  /** The default of an option: an Integer, a Duration, or its text. */
  public static Object value(Class<?> program, String command, String option) {
    OptionSpec spec = option(program, command, option);
    return Objects.requireNonNull(
        spec.defaultValue() == null ? spec.<Object>getValue() : spec.defaultValue(), option);
  }

  /** The names of the commands of a program. */
  public static Set<String> commands(Class<?> program) {
    return new CommandLine(program).getSubcommands().keySet();
  }

  /** The lines that describe a command. The list of commands shows the first one. */
  public static List<String> description(Class<?> program, String command) {
    CommandLine line =
        Objects.requireNonNull(new CommandLine(program).getSubcommands().get(command), command);
    return List.of(line.getCommandSpec().usageMessage().description());
  }

  /** What {@code --help} shows of a command. */
  public static String help(Class<?> program, String command) {
    return Objects.requireNonNull(new CommandLine(program).getSubcommands().get(command), command)
        .getUsageMessage();
  }

  /**
   * The default of an option as {@code --help} shows it: a value, or words for one that depends on
   * something; "required" or "off" for options without one; empty if it has none.
   */
  public static String defaultText(Class<?> program, String command, String option) {
    OptionSpec spec = option(program, command, option);
    if (spec.required()) {
      return "required";
    }
    if (spec.arity().max() == 0) {
      return "off";
    }
    String value = spec.defaultValueString(true);
    if (!Set.of("", "null", "[]").contains(value)) {
      return value;
    }
    Matcher described = DEFAULT.matcher(String.join(" ", spec.description()));
    return described.find() ? described.group(1) : "";
  }

  private static OptionSpec option(Class<?> program, String command, String option) {
    CommandLine line =
        Objects.requireNonNull(new CommandLine(program).getSubcommands().get(command), command);
    return Objects.requireNonNull(line.getCommandSpec().findOption(option), option);
  }

  /** Parses a duration as the programs do. */
  public static Duration duration(String text) {
    return new DurationConverter().convert(text);
  }
}
