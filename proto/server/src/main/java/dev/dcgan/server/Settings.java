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
 * <p>Every long option has an environment variable of the same name, {@code --http-port} and {@code
 * DCGAN_HTTP_PORT}; the command line wins. An argument {@code @FILE} stands for the arguments in
 * that file, apart by white space, {@code #} begins a comment. Durations are written {@code 2ms},
 * {@code 5s}. All that is wrong is reported at once, one line each, with exit code 2. A command
 * that fails with an {@link IOException} ends with its message, one line, and exit code 1, or
 * {@link FinalFailureException#EXIT_CODE} where it is one of those: such messages are written for
 * operators. Anything else is a fault of ours and is logged with its stack.
 */
public final class Settings {

  /** A command with a check of its own, made before anything is started. */
  public interface Command extends Callable<Integer> {

    /**
     * Adds a line for each option that is wrong; options that did not parse hold their defaults,
     * and required ones that are missing null or 0.
     */
    void check(Problems problems);
  }

  private static final Logger log = LoggerFactory.getLogger(Settings.class);
  private static final String PREFIX = "DCGAN_";

  private Settings() {}

  /** Parses, checks and runs the command that {@code args} name; returns the exit code. */
  public static int run(Object program, String... args) {
    return run(
        program, System.getenv(), new PrintWriter(System.err, true, StandardCharsets.UTF_8), args);
  }

  static int run(Object program, Map<String, String> environment, PrintWriter err, String... args) {
    Locale.setDefault(Locale.ROOT); // Figures and file names look the same everywhere.
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
    // The jar's, as the build wrote it into the manifest.
    String version = program.getClass().getPackage().getImplementationVersion();
    configure(commandLine, version == null ? "(not packaged)" : version);
    return areReadable(args, err) ? commandLine.execute(args) : CommandLine.ExitCode.USAGE;
  }

  /**
   * Whether the files of arguments can be read: picocli takes those that are not there as words.
   */
  private static boolean areReadable(String[] args, PrintWriter err) {
    Problems problems = new Problems();
    for (String arg : args) {
      if (arg.startsWith("@") && !arg.startsWith("@@")) {
        Path file = Path.of(arg.substring(1));
        problems.require(
            Files.isRegularFile(file) && Files.isReadable(file),
            arg + ": no file of arguments that can be read");
      }
    }
    problems.lines().forEach(line -> err.println("error: " + line));
    return problems.lines().isEmpty();
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
    Problems problems = new Problems();
    ParseResult leaf = root;
    addParseErrors(leaf, problems);
    while (leaf.hasSubcommand()) {
      leaf = leaf.subcommand();
      addParseErrors(leaf, problems);
    }
    variables.wrong.values().forEach(problems::add);
    CommandSpec spec = leaf.commandSpec();
    if (spec.userObject() instanceof Command command) {
      command.check(problems);
    } else {
      problems.add("no command given; expected one of " + spec.subcommands().keySet());
    }
    if (!problems.lines().isEmpty()) {
      PrintWriter err = root.commandSpec().commandLine().getErr();
      problems.lines().forEach(line -> err.println("error: " + line));
      err.printf("see: %s --help%n", spec.qualifiedName());
      return CommandLine.ExitCode.USAGE;
    }
    return new CommandLine.RunLast().execute(root);
  }

  private static void addParseErrors(ParseResult result, Problems problems) {
    for (Exception error : result.errors()) {
      problems.add(String.valueOf(error.getMessage()));
    }
  }

  private static int reportFailure(Exception e, CommandLine commandLine, ParseResult parseResult) {
    if (e instanceof IOException) {
      commandLine.getErr().println("error: " + OneLine.of(e));
      log.debug("the command failed", e);
    } else {
      log.error("the command failed by a fault of this program", e);
    }
    return e instanceof FinalFailureException
        ? FinalFailureException.EXIT_CODE
        : CommandLine.ExitCode.SOFTWARE;
  }

  /**
   * Where an option is not on the command line: the environment's value, else the declared default.
   *
   * <p>picocli gives up at the first default that does not convert, so only those that do are
   * offered to it.
   */
  private static final class Environment implements IDefaultValueProvider {

    private static final List<String> NOT_SETTINGS = List.of("--help", "--version");

    private final Map<String, String> variables;
    // Variable to what is wrong with it; picocli asks more than once.
    private final Map<String, String> wrong = new LinkedHashMap<>();

    Environment(Map<String, String> variables) {
      this.variables = variables;
    }

    @Override
    public @Nullable String defaultValue(ArgSpec arg) {
      if (!(arg instanceof OptionSpec option) || NOT_SETTINGS.contains(option.longestName())) {
        return null;
      }
      String variable =
          PREFIX + option.longestName().substring(2).replace('-', '_').toUpperCase(Locale.ROOT);
      String value = variables.get(variable);
      if (value == null) {
        return null;
      }
      try {
        tryOut(option, value);
        return value;
      } catch (ParameterException e) {
        wrong.put(variable, variable + ": " + e.getMessage());
        return null;
      }
    }

    private static void tryOut(OptionSpec option, String value) {
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
