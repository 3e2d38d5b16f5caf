package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

class SettingsTest {

  private final Serve serve = new Serve();
  private final StringWriter err = new StringWriter();

  @Test
  void run_withRightOptions_runsTheCommand() {
    assertThat(run(Map.of(), "serve", "--repository", "models", "--http-port", "1")).isEqualTo(7);

    assertThat(serve.ran).isTrue();
    assertThat(serve.repository).isEqualTo(Path.of("models"));
    assertThat(serve.httpPort).isEqualTo(1);
    assertThat(serve.rate).isEqualTo(0.5);
    assertThat(err.toString()).isEmpty();
  }

  @Test
  void run_reportsAllThatIsWrongAtOnce() {
    int exit = run(Map.of(), "serve", "--http-port", "x", "--rate=2", "--port=70000", "--colour=3");

    assertRefused(exit);
    assertThat(err.toString().lines())
        .containsExactlyInAnyOrder(
            "error: Invalid value for option '--http-port': 'x' is not an int",
            "error: Missing required option: '--repository=<repository>'",
            "error: Unknown option: '--colour=3'",
            "error: --rate 2.0: expected between 0 and 1",
            "error: --port 70000: expected 0 to 65535",
            "see: program serve --help");
  }

  @Test
  void run_takesWhatTheCommandLineLacksFromTheEnvironment() {
    int exit =
        run(
            Map.of(
                "DCGAN_REPOSITORY", "there",
                "DCGAN_HTTP_PORT", "2",
                "DCGAN_QUICK", "true",
                "DCGAN_GRACE", "20s"),
            "serve",
            "--http-port=3");

    assertThat(exit).isEqualTo(7);
    assertThat(serve.repository).isEqualTo(Path.of("there"));
    assertThat(serve.httpPort).as("the command line wins").isEqualTo(3);
    assertThat(serve.quick).isTrue();
    assertThat(serve.grace).isEqualTo(Duration.ofSeconds(20));
  }

  @Test
  void run_reportsAllThatIsWrongInTheEnvironment() {
    int exit =
        run(
            Map.of(
                "DCGAN_HTTP_PORT", "x",
                "DCGAN_PORT", "70000",
                "DCGAN_QUICK", "perhaps",
                "DCGAN_RATE", "half"),
            "serve",
            "--repository=models");

    assertRefused(exit);
    assertThat(err.toString().lines())
        .containsExactlyInAnyOrder(
            "error: DCGAN_HTTP_PORT: Invalid value for option '--http-port': 'x' is not an int",
            "error: DCGAN_QUICK: Invalid value for option '--quick': 'perhaps' is not a boolean",
            "error: DCGAN_RATE: Invalid value for option '--rate': 'half' is not a double",
            "error: --port 70000: expected 0 to 65535",
            "see: program serve --help");
  }

  @Test
  void run_ignoresAWrongVariableThatTheCommandLineOverrides() {
    int exit = run(Map.of("DCGAN_RATE", "half"), "serve", "--repository=models", "--rate=0.25");

    assertThat(exit).as(err.toString()).isEqualTo(7);
    assertThat(serve.rate).isEqualTo(0.25);
  }

  @Test
  void run_helpAndVersionInTheEnvironmentMeanNothing() {
    int exit =
        run(Map.of("DCGAN_HELP", "true", "DCGAN_VERSION", "3"), "serve", "--repository=models");

    assertThat(exit).isEqualTo(7);
  }

  @Test
  void run_replacesAFileByTheArgumentsInIt(@TempDir Path folder) throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("3"),
            """
            # index 3
            --rate 0.25 --repository "a folder"
            --port=7
            """);

    int exit =
        run(Map.of("DCGAN_RATE", "0.75", "DCGAN_HTTP_PORT", "2"), "serve", "@" + file, "--quick");

    assertThat(exit).as(err.toString()).isEqualTo(7);
    assertThat(serve.rate).as("the file is the command line, which wins").isEqualTo(0.25);
    assertThat(serve.repository).isEqualTo(Path.of("a folder"));
    assertThat(serve.port).isEqualTo(7);
    assertThat(serve.httpPort).isEqualTo(2);
    assertThat(serve.quick).isTrue();
  }

  @Test
  void run_reportsWhatIsWrongInAFileOfArguments(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("3"), "--rate 2 --colour=3");

    assertRefused(run(Map.of(), "serve", "--repository=models", "@" + file));

    assertThat(err.toString().lines())
        .containsExactlyInAnyOrder(
            "error: Unknown option: '--colour=3'",
            "error: --rate 2.0: expected between 0 and 1",
            "see: program serve --help");
  }

  @Test
  void run_whenAFileOfArgumentsIsMissing_saysSoInOneLine(@TempDir Path folder) {
    assertRefused(run(Map.of(), "serve", "@" + folder.resolve("4")));
    assertRefused(run(Map.of(), "serve", "@" + folder));

    assertThat(err.toString().lines())
        .containsExactly(
            "error: @" + folder.resolve("4") + ": cannot read the file of arguments",
            "error: @" + folder + ": cannot read the file of arguments");
  }

  @Test
  void run_withoutACommand_namesThem() {
    assertRefused(run(Map.of()));

    assertThat(err.toString()).startsWith("error: no command given; expected one of [serve]");
  }

  @Test
  void run_ofAnUnknownCommand_namesItAndTheKnownOnes() {
    assertRefused(run(Map.of(), "server"));

    assertThat(err.toString()).contains("'server'", "[serve]");
  }

  @Test
  void run_refusesArgumentsThatAreNoOptions() {
    assertRefused(run(Map.of(), "serve", "--repository=models", "garbage", "more"));

    assertThat(err.toString()).contains("garbage", "more");
  }

  @Test
  void run_refusesAnOptionGivenTwice() {
    assertRefused(run(Map.of(), "serve", "--repository=models", "--port=1", "--port=2"));

    assertThat(err.toString()).contains("option '--port' (<port>) should be specified only once");
  }

  @Test
  void run_refusesAnOptionWithoutItsValue() {
    assertRefused(run(Map.of(), "serve", "--repository=models", "--port"));

    assertThat(err.toString()).contains("'--port");
  }

  @Test
  void run_helpAndVersion_succeedWithoutRunningAnything() {
    assertThat(run(Map.of(), "--help")).isZero();
    assertThat(run(Map.of(), "--version")).isZero();
    assertThat(run(Map.of(), "serve", "--help")).isZero();
    assertThat(run(Map.of(), "serve", "--port=x", "--help")).isZero();

    assertThat(serve.ran).isFalse();
    assertThat(err.toString()).isEmpty();
  }

  @Test
  void run_whenTheCommandFails_printsItsMessageOnOneLine() {
    serve.failure = new IOException("the disk is full:\n  make room");

    assertThat(run(Map.of(), "serve", "--repository=models")).isEqualTo(1);

    assertThat(err.toString().lines()).containsExactly("error: the disk is full: make room");
  }

  @Test
  void run_whenTheMessageIsAFileNameAlone_saysWhatIsWrongWithIt() {
    serve.failure = new NoSuchFileException("/models");

    assertThat(run(Map.of(), "serve", "--repository=models")).isEqualTo(1);

    assertThat(err.toString().lines()).containsExactly("error: NoSuchFileException: /models");
  }

  @Test
  void run_whenTheCommandFailsForGood_endsWithACodeOfItsOwn() {
    serve.failure = new FinalFailureException("the loss is not finite");

    assertThat(run(Map.of(), "serve", "--repository=models")).isEqualTo(65);
    assertThat(err.toString()).isEqualToNormalizingNewlines("error: the loss is not finite\n");
  }

  @Test
  void run_whenTheCommandFailsOtherwise_logsTheFault() {
    serve.failure = new IllegalStateException("cannot be");

    try (CapturedLog log = new CapturedLog(Settings.class)) {
      assertThat(run(Map.of(), "serve", "--repository=models")).isEqualTo(1);
      assertThat(log.lines())
          .containsExactly("ERROR the command failed because of a fault of this program");
    }
    assertThat(err.toString()).isEmpty();
  }

  private void assertRefused(int exit) {
    assertThat(exit).isEqualTo(2);
    assertThat(serve.ran).isFalse();
  }

  private int run(Map<String, String> environment, String... args) {
    CommandSpec program = CommandSpec.forAnnotatedObject(new Program());
    program.addSubcommand("serve", CommandSpec.forAnnotatedObject(serve));
    return Settings.run(program, environment, new PrintWriter(err, true), args);
  }

  @Command(name = "program", version = "1", mixinStandardHelpOptions = true)
  private static final class Program {}

  @Command(name = "serve", mixinStandardHelpOptions = true)
  private static final class Serve implements Settings.Command {

    @Option(names = "--repository", required = true)
    @Nullable Path repository;

    @Option(names = "--port")
    int port = 50051;

    @Option(names = "--http-port")
    int httpPort = 9402;

    @Option(names = "--rate")
    double rate = 0.5;

    @Option(names = "--grace")
    Duration grace = Duration.ZERO;

    @Option(names = "--quick")
    boolean quick;

    @Nullable Exception failure;
    boolean ran;

    @Override
    public void check(Validator validator) {
      validator.requirePort("--port", port);
      validator.requirePort("--http-port", httpPort);
      validator.require(rate > 0 && rate < 1, "--rate " + rate + ": expected between 0 and 1");
    }

    @Override
    public Integer call() throws Exception {
      ran = true;
      if (failure != null) {
        throw failure;
      }
      return 7;
    }
  }
}
