package dev.dcgan.server;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.bridge.SLF4JBridgeHandler;
import picocli.CommandLine;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.ISetter;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * Runs a program's command line.
 *
 * <p>Every long option has an environment variable: {@code --http-port} has {@code
 * DCGAN_HTTP_PORT}. The command line takes precedence. An argument {@code @FILE} is replaced by the
 * arguments in that file, which are separated by white space; {@code #} starts a comment. Durations
 * have a unit: {@code 2ms}, {@code 5s}. All invalid settings are reported at once, one per line,
 * with exit code 2.
 *
 * <p>If a command fails with an {@link IOException}, its message is printed on one line for
 * operators, and the exit code is 1, or {@link FinalFailureException#EXIT_CODE} for that exception.
 * Any other exception is a bug and is logged with its stack trace.
 */
public final class Settings {

  /** A command that validates its options before it runs. */
  public interface Command extends Callable<Integer> {

    /**
     * Reports each invalid option. Options that could not be parsed have their defaults; missing
     * required options are null or 0.
     */
    void check(Validator validator);
  }

  private static final Logger log = LoggerFactory.getLogger(Settings.class);
  private static final String PREFIX = "DCGAN_";

  private Settings() {}

  /** Parses, validates and runs the command in {@code args} and returns the exit code. */
  public static int run(Object program, String... args) {
    return run(
        program, System.getenv(), new PrintWriter(System.err, true, StandardCharsets.UTF_8), args);
  }

  static int run(Object program, Map<String, String> environment, PrintWriter err, String... args) {
    Locale.setDefault(Locale.ROOT); // Numbers and file names do not depend on the locale.
    SLF4JBridgeHandler.removeHandlersForRootLogger();
    SLF4JBridgeHandler.install();
    Environment variables = new Environment(environment);
    CommandLine commandLine =
        new CommandLine(program)
            .setErr(err)
            .registerConverter(Duration.class, new DurationConverter())
            .setDefaultValueProvider(variables)
            .setExecutionStrategy(parsed -> checkAndRun(parsed, variables))
            .setExecutionExceptionHandler(Settings::reportFailure);
    // The build writes the version into the manifest of the jar.
    String version = program.getClass().getPackage().getImplementationVersion();
    configure(commandLine, version == null ? "(not packaged)" : version);
    return areReadable(args, err) ? commandLine.execute(args) : CommandLine.ExitCode.USAGE;
  }

  /** Checks that argument files can be read. picocli treats a missing file as a plain argument. */
  private static boolean areReadable(String[] args, PrintWriter err) {
    Validator validator = new Validator();
    for (String arg : args) {
      if (arg.startsWith("@") && !arg.startsWith("@@")) {
        Path file = Path.of(arg.substring(1));
        validator.require(
            Files.isRegularFile(file) && Files.isReadable(file),
            arg + ": cannot read the file of arguments");
      }
    }
    validator.errors().forEach(error -> err.println("error: " + error));
    return validator.errors().isEmpty();
  }

  private static void configure(CommandLine commandLine, String version) {
    CommandSpec spec = commandLine.getCommandSpec();
    spec.version(spec.qualifiedName() + " " + version);
    spec.parser().collectErrors(true);
    commandLine.getSubcommands().values().forEach(command -> configure(command, version));
  }

  private static int checkAndRun(ParseResult root, Environment variables) {
    Integer help = CommandLine.executeHelpRequest(root);
    if (help != null) {
      return help;
    }
    Validator validator = new Validator();
    ParseResult leaf = root;
    addParseErrors(leaf, validator);
    while (leaf.hasSubcommand()) {
      leaf = leaf.subcommand();
      addParseErrors(leaf, validator);
    }
    variables.errors.values().forEach(validator::add);
    CommandSpec spec = leaf.commandSpec();
    if (spec.userObject() instanceof Command command) {
      command.check(validator);
    } else {
      validator.add("no command given; expected one of " + spec.subcommands().keySet());
    }
    if (!validator.errors().isEmpty()) {
      PrintWriter err = root.commandSpec().commandLine().getErr();
      validator.errors().forEach(error -> err.println("error: " + error));
      err.printf("see: %s --help%n", spec.qualifiedName());
      return CommandLine.ExitCode.USAGE;
    }
    return new CommandLine.RunLast().execute(root);
  }

  private static void addParseErrors(ParseResult result, Validator validator) {
    for (Exception error : result.errors()) {
      validator.add(String.valueOf(error.getMessage()));
    }
  }

  private static int reportFailure(Exception e, CommandLine commandLine, ParseResult parseResult) {
    if (e instanceof IOException) {
      commandLine.getErr().println("error: " + ErrorMessages.oneLine(e));
      log.debug("the command failed", e);
    } else {
      log.error("the command failed because of a fault of this program", e);
    }
    return e instanceof FinalFailureException
        ? FinalFailureException.EXIT_CODE
        : CommandLine.ExitCode.SOFTWARE;
  }

  /**
   * Provides environment variables as defaults of options.
   *
   * <p>picocli stops at the first default value that cannot be converted, so this class returns
   * only values that can be.
   */
  private static final class Environment implements IDefaultValueProvider {

    private static final List<String> WITHOUT_VARIABLE = List.of("--help", "--version");

    private final Map<String, String> variables;
    // By variable, because picocli asks for a default more than once.
    private final Map<String, String> errors = new LinkedHashMap<>();

    Environment(Map<String, String> variables) {
      this.variables = variables;
    }

    @Override
    public @Nullable String defaultValue(ArgSpec arg) {
      if (!(arg instanceof OptionSpec option) || WITHOUT_VARIABLE.contains(option.longestName())) {
        return null;
      }
      String variable =
          PREFIX + option.longestName().substring(2).replace('-', '_').toUpperCase(Locale.ROOT);
      String value = variables.get(variable);
      if (value == null) {
        return null;
      }
      try {
        requireConvertible(option, value);
        return value;
      } catch (ParameterException e) {
        errors.put(variable, variable + ": " + e.getMessage());
        return null;
      }
    }

    private static void requireConvertible(OptionSpec option, String value) {
      OptionSpec unbound = OptionSpec.builder(option).setter(new Discard()).build();
      new CommandLine(CommandSpec.create().addOption(unbound))
          .registerConverter(Duration.class, new DurationConverter())
          .parseArgs(option.longestName() + "=" + value);
    }
  }

  private static final class Discard implements ISetter {

    @Override
    public <T> @Nullable T set(@Nullable T value) {
      return null;
    }
  }
}
