package dev.dcgan.sampler.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.SamplerMain;
import dev.dcgan.sampler.server.ConditionalModels;
import dev.dcgan.sampler.server.TestModels;
import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The program as operators meet it: a process, its exit code, what it writes. */
class SamplerMainTest {

  private static final Pattern PORT = Pattern.compile("gRPC on port (\\d+)");

  private record Ended(int exitCode, String out, String err) {}

  @TempDir private Path root;

  @Test
  void serve_thenGenerate_thenSigterm() throws Exception {
    Path models = root.resolve("models");
    TestModels.publish(new ModelRepository(models), "digits", 1, 1);
    Files.createDirectories(models.resolve("digits/2"));
    Process server =
        start(
            "serve",
            "--repository",
            models.toString(),
            "--port",
            "0",
            "--http-port",
            "0",
            "--provider",
            "cpu",
            "--drain-delay",
            "0");
    try (BufferedReader log = server.errorReader(StandardCharsets.UTF_8)) {
      String target = "localhost:" + awaitServing(log);

      Path sheet = root.resolve("new folder/sheet.png");
      Ended one = run("generate", "--target", target, "--seed", "3", "--out", sheet.toString());
      assertThat(one)
          .isEqualTo(new Ended(0, "25 images of digits/1 on cpu, in %s%n".formatted(sheet), ""));
      BufferedImage image = ImageIO.read(sheet.toFile());
      assertThat(image.getWidth()).isEqualTo(2 + 5 * 16);

      Path large = root.resolve("large.png");
      Ended seeds =
          run(
              "generate",
              "--target=" + target,
              "--model=digits",
              "--version=1",
              "--temperature=0.7",
              "--seeds=3,18446744073709551615,3",
              "--columns=3",
              "--scale=4",
              "--out=" + large);
      assertThat(seeds)
          .isEqualTo(new Ended(0, "3 images of digits/1 on cpu, in %s%n".formatted(large), ""));
      assertThat(ImageIO.read(large.toFile()).getWidth()).isEqualTo(4 * (2 + 3 * 16));
      Path perSeed = root.resolve("seeds");
      Ended grid =
          run(
              "generate",
              "--target=" + target,
              "--seeds=3,4",
              "--count=2",
              "--format=png",
              "--out=" + perSeed);
      assertThat(grid.exitCode()).as(grid.err()).isZero();
      assertThat(perSeed.toFile().list())
          .containsExactlyInAnyOrder(
              "3-000000.png", "3-000001.png", "4-000000.png", "4-000001.png");

      Ended served = run("models", "--target", target);
      assertThat(served.exitCode()).as(served.err()).isZero();
      assertThat(served.out())
          .hasLineCount(3)
          .containsPattern(
              "(?m)^MODEL +VERSION +PINNED +IMAGE +LATENT +CLASSES +VERIFIED +VERSIONS$")
          .containsPattern("(?m)^digits +1 +- +14x14x1 +8 +- +yes +1$")
          .containsPattern("(?m)^skipped: digits/2: is incomplete: model.onnx is missing$");

      Path folder = root.resolve("pngs");
      Ended each =
          run(
              "generate",
              "--target",
              target,
              "--count",
              "70",
              "--first-index",
              "5",
              "--format",
              "png",
              "--out",
              folder.toString());
      assertThat(each.exitCode()).as(each.err()).isZero();
      try (Stream<Path> files = Files.list(folder)) {
        assertThat(files.map(file -> file.getFileName().toString()))
            .hasSize(70)
            .contains("000005.png", "000074.png");
      }

      Path shards = root.resolve("shards");
      Ended exported =
          run(
              exportArguments(
                  models,
                  shards,
                  "--seed",
                  "0",
                  "--first",
                  "5",
                  "--count",
                  "70",
                  "--shard-images",
                  "30",
                  "--max-batch",
                  "16"));
      assertThat(exported.exitCode()).as(exported.err()).isZero();
      assertThat(exported.out()).isEmpty();
      assertThat(exported.err()).contains("wrote 3 shards, 70 images in ");
      assertThat(shards.toFile().list())
          .containsExactlyInAnyOrder(
              "export.json", "digits-000000.tar", "digits-000001.tar", "digits-000002.tar");
      int same = 0;
      for (int shard = 0; shard < 3; shard++) {
        Path file = shards.resolve("digits-%06d.tar".formatted(shard));
        try (TarArchiveInputStream tar = new TarArchiveInputStream(Files.newInputStream(file))) {
          for (TarArchiveEntry entry = tar.getNextEntry();
              entry != null;
              entry = tar.getNextEntry()) {
            String six = entry.getName().substring(14); // Of twenty digits.
            assertThat(tar.readAllBytes())
                .as(six)
                .isEqualTo(Files.readAllBytes(folder.resolve(six)));
            same++;
          }
        }
      }
      assertThat(same).isEqualTo(70);

      Ended tooMany =
          run("generate", "--target", target, "--count", "100000", "--out", sheet.toString());
      assertThat(tooMany.exitCode()).isEqualTo(1);
      assertThat(tooMany.err())
          .startsWith("error: " + target + " answered INVALID_ARGUMENT: count 100000 exceeds ")
          .hasLineCount(1);

      Path json = root.resolve("bench.json");
      Ended bench =
          run(
              "bench",
              "--target",
              target,
              "--duration",
              "300ms",
              "--warm-up",
              "0",
              "--json",
              json.toString());
      assertThat(bench.exitCode()).as(bench.err()).isZero();
      assertThat(bench.err()).isEmpty();
      assertThat(bench.out()).contains(", model digits/1, provider cpu, ").contains("images/s ");
      assertThat(json).content().contains("\"images_per_second\": ");

      server.destroy(); // SIGTERM
      assertThat(server.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(server.exitValue()).isZero();
    } finally {
      server.destroyForcibly();
    }
  }

  @Test
  void label_choosesTheClass_inEveryCommand() throws Exception {
    Path models = root.resolve("models");
    ConditionalModels.publish(new ModelRepository(models), "digits", 1);
    Process server =
        start(
            "serve",
            "--repository=" + models,
            "--port=0",
            "--http-port=0",
            "--provider=cpu",
            "--drain-delay=0");
    try (BufferedReader log = server.errorReader(StandardCharsets.UTF_8)) {
      String target = "--target=localhost:" + awaitServing(log);
      assertThat(run("models", target).out())
          .containsPattern("(?m)^digits +1 +- +14x14x3 +8 +3 +yes +1$");

      Path folder = root.resolve("dogs");
      Ended dogs =
          run(
              "generate",
              target,
              "--seed=3",
              "--count=20",
              "--label=dog",
              "--label=2",
              "--format=png",
              "--out=" + folder);
      assertThat(dogs.exitCode()).as(dogs.err()).isZero();
      Ended exported =
          run(
              exportArguments(
                  models,
                  root.resolve("shards"),
                  "--seed=3",
                  "--count=20",
                  "--label=dog",
                  "--label=2"));
      assertThat(exported.exitCode()).as(exported.err()).isZero();
      Path shard = root.resolve("shards/digits-000000.tar");
      List<String> labels = new ArrayList<>();
      try (TarArchiveInputStream tar = new TarArchiveInputStream(Files.newInputStream(shard))) {
        for (TarArchiveEntry entry = tar.getNextEntry();
            entry != null;
            entry = tar.getNextEntry()) {
          String six = entry.getName().substring(14);
          byte[] content = tar.readAllBytes();
          if (six.endsWith(".png")) {
            assertThat(content).as(six).isEqualTo(Files.readAllBytes(folder.resolve(six)));
          } else {
            labels.add(new String(content, StandardCharsets.US_ASCII));
          }
        }
      }
      assertThat(labels).hasSize(20).containsOnly("1", "2").contains("1", "2");

      Ended bird = run("generate", target, "--label=bird", "--out=" + root.resolve("bird.png"));
      assertThat(bird.exitCode()).isEqualTo(1);
      assertThat(bird.err())
          .contains("label 'bird': the model has no such class", "cat (0), 2 (1), dog (2)")
          .hasLineCount(1);
      Ended bench =
          run("bench", target, "--duration=300ms", "--warm-up=0s", "--label=cat", "--stream");
      assertThat(bench.exitCode()).as(bench.err()).isZero();
      assertThat(bench.out()).contains("labels cat");
    } finally {
      server.destroyForcibly();
    }
  }

  @Test
  void serve_overTls_isForClientsThatTrustIt() throws Exception {
    assumeThat(Path.of("/usr/bin/openssl")).as("openssl is absent").exists();
    // As README has it.
    Process openssl =
        new ProcessBuilder(
                "/usr/bin/openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt"
                    .split(" "))
            .directory(root.toFile())
            .start();
    assertThat(finish(openssl)).returns(0, Ended::exitCode);
    Path models = root.resolve("models");
    TestModels.publish(new ModelRepository(models), "digits", 1, 1);
    ProcessBuilder program =
        program(
            "serve",
            "--repository=" + models,
            "--port=0",
            "--http-port=0",
            "--provider=cpu",
            "--drain-delay=0");
    program.environment().put("DCGAN_TLS_CERT", root.resolve("tls.crt").toString());
    program.environment().put("DCGAN_TLS_KEY", root.resolve("tls.key").toString());
    Process server = program.start();
    try (BufferedReader log = server.errorReader(StandardCharsets.UTF_8)) {
      String target = "localhost:" + awaitServing(log);
      String to = "--target=" + target;
      String ca = "--tls-ca=" + root.resolve("tls.crt");
      String out = "--out=" + root.resolve("sheet.png");

      Ended trusting = run("generate", to, ca, out);
      assertThat(trusting.exitCode()).as(trusting.err()).isZero();
      assertThat(ImageIO.read(root.resolve("sheet.png").toFile()).getWidth()).isEqualTo(2 + 5 * 16);

      Ended plain = run("generate", to, out);
      assertThat(plain.exitCode()).isEqualTo(1);
      assertThat(plain.err())
          .startsWith("error: " + target + " closed the connection (")
          .endsWith("; if it uses TLS, give --tls or --tls-ca\n")
          .hasLineCount(1);

      Ended bench = run("bench", to, ca, "--duration=300ms", "--warm-up=0");
      assertThat(bench.exitCode()).as(bench.err()).isZero();
      assertThat(bench.out()).contains("images/s ");
    } finally {
      server.destroyForcibly();
    }
  }

  @Test
  void export_stoppedOrKilled_leavesNoHalfShard_andIsRetried() throws Exception {
    Path models = root.resolve("models");
    TestModels.publish(new ModelRepository(models), "digits", 1, 1);
    Path out = root.resolve("out");
    String[] arguments =
        exportArguments(
            models,
            out,
            "--seed",
            "1",
            "--count",
            "5000000",
            "--shard-images",
            "100000", // It takes seconds: there is time to stop it.
            "--parts",
            "50");
    Pattern begun = Pattern.compile("part 0 of 50: shards 0 to 0 of 50, 0 of them exist");

    Process stopped = start(arguments);
    try (BufferedReader log = stopped.errorReader(StandardCharsets.UTF_8)) {
      awaitMatch(log, begun);
      stopped.toHandle().destroy(); // SIGTERM; the process's own would close the log.
      awaitMatch(log, Pattern.compile("stopped after 0 of 1 shards"));
      assertThat(stopped.waitFor(30, TimeUnit.SECONDS)).isTrue();
      assertThat(stopped.exitValue()).isEqualTo(75);
    } finally {
      stopped.destroyForcibly();
    }
    assertThat(out.toFile().list()).containsExactly("export.json");

    Process killed = start(arguments);
    try (BufferedReader log = killed.errorReader(StandardCharsets.UTF_8)) {
      awaitMatch(log, begun);
      while (out.toFile().list().length < 2) {
        Thread.onSpinWait();
      }
    } finally {
      killed.destroyForcibly();
    }
    assertThat(killed.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(out.toFile().list())
        .as("a temporary file, and no shard")
        .hasSize(2)
        .doesNotContain("digits-000000.tar");

    Ended done = run(arguments);
    assertThat(done.exitCode()).as(done.err()).isZero();
    assertThat(done.err()).contains("removed ", ".digits-000000.tar");
    assertThat(out.toFile().list()).containsExactlyInAnyOrder("export.json", "digits-000000.tar");
  }

  @Test
  void export_intoAFile_failsInOneLine() throws Exception {
    Path models = root.resolve("models");
    TestModels.publish(new ModelRepository(models), "digits", 1, 1);
    Path out = Files.writeString(root.resolve("out"), "a file");
    Ended ended = run(exportArguments(models, out, "--seed", "1", "--count", "20"));
    assertThat(ended.exitCode()).isEqualTo(1);
    assertThat(ended.err()).endsWith("error: FileAlreadyExistsException: " + out + "\n");
  }

  @Test
  void export_reportsAllWrongOptionsAtOnce() throws Exception {
    Ended ended =
        run(
            "export",
            "--model",
            "A/B",
            "--model-version",
            "0",
            "--seed",
            "-1",
            "--first",
            "18446744073709551610",
            "--count",
            "7",
            "--shard-images",
            "0",
            "--parts",
            "3",
            "--part",
            "3",
            "--max-batch",
            "0",
            "--sessions",
            "257",
            "--provider",
            "tpu");
    assertThat(ended.exitCode()).isEqualTo(2);
    assertThat(ended.err())
        .contains("Missing required option: '--out")
        .contains("--model 'A/B'")
        .contains("--model-version 0: expected 1 to ")
        .contains("'--seed': '-1': expected a whole number from 0 to 18446744073709551615")
        .contains("--shard-images 0: expected 1 to 10000000")
        .contains("--part 3: expected 0 to 2")
        .contains("--max-batch 0: expected 1 to 4096")
        .contains("--sessions 257: expected 0 to 256")
        .contains("tpu");

    Ended more =
        run(
            exportArguments(
                root,
                root,
                "--seed",
                "1",
                "--first",
                "18446744073709551610",
                "--count",
                "7",
                "--part",
                "x",
                "--parts",
                "0"));
    assertThat(more.exitCode()).isEqualTo(2);
    assertThat(more.err())
        .contains("--first 18446744073709551610 --count 7: expected a last image of at most")
        .contains("'x'")
        .contains("--parts 0: expected 1 to 1000000");

    Ended most = run(exportArguments(root, root, "--first", "-1", "--count", "-1"));
    assertThat(most.exitCode()).isEqualTo(2);
    assertThat(most.err())
        .contains("Missing required option: '--seed")
        .contains("'--first': '-1': expected a whole number from 0 to 18446744073709551615")
        .contains("--count -1: expected 1 to 9223372036854775807");
  }

  @Test
  void models_ofAFolder_namesPinsAndWhatIsSkipped() throws Exception {
    Path models = root.resolve("models");
    ModelRepository repository = new ModelRepository(models);
    TestModels.publish(repository, "digits", 1, 1);
    TestModels.publish(repository, "digits", 1, 2);
    TestModels.publish(repository, "digits", 1, 3);
    repository.pin("digits", 2);
    Files.writeString(models.resolve("digits/1/manifest.json"), "{");
    Files.createDirectories(models.resolve("bare/1"));
    Files.copy(models.resolve("digits/2/model.onnx"), models.resolve("bare/1/model.onnx"));
    Files.createDirectories(models.resolve("Upper/1"));
    Files.copy(models.resolve("digits/2/model.onnx"), models.resolve("Upper/1/model.onnx"));
    TestModels.publish(repository, "cats", 1, 1);
    Files.writeString(models.resolve("cats/.serving-version"), "new");

    Ended listed = run("models", "--repository=" + models);
    assertThat(listed.exitCode()).as(listed.err()).isZero();
    assertThat(listed.out())
        .hasLineCount(7)
        .containsOnlyOnce("cats/.serving-version")
        .containsPattern("(?m)^cats +1 +- ")
        .containsPattern("(?m)^digits +2 +2 +14x14x1 +8 +- +yes +3,2$")
        .containsPattern("(?m)^skipped: .*digits/1.manifest.json ")
        .containsPattern("(?m)^skipped: .*bare/1 has no manifest.json.*--allow-unverified")
        .containsPattern("(?m)^skipped: .*Upper: ");

    Ended empty = run("models", "--repository=" + Files.createDirectory(root.resolve("empty")));
    assertThat(empty).isEqualTo(new Ended(0, "no models%n".formatted(), ""));
    Ended missing = run("models", "--repository=" + root.resolve("none"));
    assertThat(missing.exitCode()).isEqualTo(2);
    assertThat(missing.err()).contains("none: no such folder");
    Ended unreachable = run("models", "--target=localhost:1");
    assertThat(unreachable.exitCode()).isEqualTo(1);
    assertThat(unreachable.err()).startsWith("error: cannot reach localhost:1 (").hasLineCount(1);
  }

  @Test
  void generate_reportsAllWrongOptionsAtOnce() throws Exception {
    Ended ended =
        run(
            "generate",
            "--out=x",
            "--seed=0",
            "--seeds=1,2",
            "--format=png",
            "--columns=3",
            "--scale=17",
            "--temperature=0",
            "--version=0",
            "--count=0");
    assertThat(ended.exitCode()).isEqualTo(2);
    assertThat(ended.err())
        .contains("--seed and --seeds")
        .contains("--columns is for --format sheet only")
        .contains("--scale 17: expected 1 to 16")
        .contains("--temperature 0.0: expected above 0, at most 2")
        .contains("--version 0: expected 1 to ")
        .contains("--count 0: expected 1 to ");
    assertThat(run("generate", "--out=x", "--seeds=1,-2").err()).contains("'-2': expected a whole");
  }

  @Test
  void generate_whereNothingListens_failsInOneLine() throws Exception {
    Ended ended = run("generate", "--target", "localhost:1", "--out", root.resolve("x").toString());
    assertThat(ended.exitCode()).isEqualTo(1);
    assertThat(ended.out()).isEmpty();
    assertThat(ended.err()).startsWith("error: cannot reach localhost:1 (").hasLineCount(1);
  }

  @Test
  void bench_whereNothingListens_failsInOneLine() throws Exception {
    Ended ended = run("bench", "--target", "localhost:1");
    assertThat(ended.exitCode()).isEqualTo(1);
    assertThat(ended.out()).isEmpty();
    assertThat(ended.err()).startsWith("error: cannot reach localhost:1 (").hasLineCount(1);
  }

  @Test
  void bench_reportsAllWrongOptionsAtOnce() throws Exception {
    Ended ended =
        run(
            "bench",
            "--target",
            " ",
            "--mode",
            "open",
            "--concurrency",
            "2",
            "--connections",
            "3",
            "--count",
            "0",
            "--format",
            "sheet",
            "--stream",
            "--duration",
            "0",
            "--warm-up",
            "2h",
            "--timeout",
            "2h",
            "--priority",
            "urgent",
            "--seed",
            "-1");
    assertThat(ended.exitCode()).isEqualTo(2);
    assertThat(ended.err())
        .contains("--target is empty")
        .contains("--mode open needs --rate")
        .contains("--connections 3: expected at most --concurrency, 2")
        .contains("--count 0: expected 1 to 4294967295")
        .contains("--stream cannot send --format sheet")
        .contains("--duration (in ms) 0: expected 1 to 86400000")
        .contains("--warm-up (in ms) 7200000: expected 0 to 3600000")
        .contains("--timeout (in ms) 7200000: expected 0 to 3600000")
        .contains("urgent")
        .contains("'--seed': '-1': expected a whole number from 0 to 18446744073709551615");

    Ended more = run("bench", "--rate", "0", "--concurrency", "0", "--format", "gif");
    assertThat(more.exitCode()).isEqualTo(2);
    assertThat(more.err())
        .contains("--rate 0.0: expected above 0, at most 1000000")
        .contains("--rate needs --mode open")
        .contains("--concurrency 0: expected 1 to 10000")
        .contains("--format 'gif': expected one of [float, png, raw, sheet]");
  }

  @ParameterizedTest
  @ValueSource(strings = {"sheet", "png"})
  void generate_withoutAResponse_timesOut(String format) throws Exception {
    // Connections are taken by the kernel, and nothing is ever said on them.
    try (ServerSocket mute = new ServerSocket(0)) {
      String target = "127.0.0.1:" + mute.getLocalPort();
      Ended ended =
          run(
              "generate",
              "--target",
              target,
              "--format",
              format,
              "--timeout",
              "200ms",
              "--out",
              root.resolve("x").toString());
      assertThat(ended.exitCode()).isEqualTo(1);
      assertThat(ended.err())
          .startsWith("error: no response from " + target + " within 200 ms: ")
          .hasLineCount(1);
    }
  }

  @Test
  void serve_onAbsentCuda_failsInOneLine() throws Exception {
    assumeThat(Path.of("/dev/nvidia0")).doesNotExist();
    Ended ended = run("serve", "--repository", root.toString(), "--provider", "cuda");
    assertThat(ended.exitCode()).isEqualTo(1);
    assertThat(ended.err())
        .startsWith("error: cannot use CUDA device 0: ")
        .endsWith("use --provider cpu, or auto\n")
        .hasLineCount(1);
  }

  @Test
  void wrongOptions_areAllReportedAtOnce() throws Exception {
    Ended ended =
        run(
            "serve",
            "--repository",
            root.toString(),
            "--port",
            "70000",
            "--max-batch",
            "0",
            "--max-delay",
            "2",
            "--model",
            "digits,A/B",
            "--keep-versions",
            "0",
            "--device-id",
            "256",
            "--tls-cert",
            root.resolve("tls.crt").toString(),
            "--allow-unverified",
            "--trusted-keys",
            root.resolve("keys.pem").toString(),
            "--provider",
            "tpu");
    assertThat(ended.exitCode()).isEqualTo(2);
    assertThat(ended.err())
        .contains("--port 70000: expected 0 to 65535")
        .contains("--max-batch 0: expected 1 to 4096")
        .contains("--device-id 256: expected 0 to 255")
        .contains("'2' is not a duration; expected a whole number with us, ms, s, m or h")
        .contains("--model 'A/B'")
        .contains("--keep-versions 0: expected 1 to 1000")
        .contains("--tls-cert requires --tls-key")
        .contains("--trusted-keys " + root.resolve("keys.pem") + ": no such file")
        .contains("--allow-unverified and --trusted-keys: expected one of them")
        .contains("--tls-cert " + root.resolve("tls.crt") + ": no such file")
        .contains("tpu");
  }

  @Test
  void severalModels_mayBeSetByTheEnvironment() throws Exception {
    ProcessBuilder program = program("serve", "--port", "-1");
    program.environment().put("DCGAN_MODEL", "A,digits,B");
    Ended ended = finish(program.start());
    assertThat(ended.err()).contains("--model 'A'", "--model 'B'").doesNotContain("'digits'");
  }

  @Test
  void deviceId_mayBeSetByTheEnvironment() throws Exception {
    ProcessBuilder program = program("serve", "--port", "-1");
    program.environment().put("DCGAN_DEVICE_ID", "-3");
    assertThat(finish(program.start()).err()).contains("--device-id -3: expected 0 to 255");
  }

  @Test
  void serve_withTelemetryOn_isRejected() throws Exception {
    ProcessBuilder program = program("serve", "--repository", root.toString());
    program.environment().remove("ORT_DISABLE_TELEMETRY");
    Ended ended = finish(program.start());
    assertThat(ended.exitCode()).isEqualTo(2);
    assertThat(ended.err()).contains("ORT_DISABLE_TELEMETRY").contains("bin/sampler");
  }

  private static String[] exportArguments(Path models, Path out, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "export",
                "--repository",
                models.toString(),
                "--model",
                "digits",
                "--out",
                out.toString(),
                "--provider",
                "cpu"));
    arguments.addAll(List.of(more));
    return arguments.toArray(new String[0]);
  }

  private static Process start(String... arguments) throws IOException {
    return program(arguments).start();
  }

  private static ProcessBuilder program(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // Each process runs for seconds: optimizing its code costs more than it gains.
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(SamplerMain.class.getName());
    command.addAll(List.of(arguments));
    ProcessBuilder process = new ProcessBuilder(command);
    // As bin/sampler does.
    process.environment().put("ORT_DISABLE_TELEMETRY", "1");
    return process;
  }

  private static Ended run(String... arguments) throws Exception {
    return finish(start(arguments));
  }

  private static Ended finish(Process process) throws Exception {
    try {
      // Both are short: neither pipe can fill while the other is read.
      String out = text(process.getInputStream());
      String err = text(process.getErrorStream());
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      return new Ended(process.exitValue(), out, err);
    } finally {
      process.destroyForcibly();
    }
  }

  private static String text(InputStream stream) throws IOException {
    return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
  }

  /** Waits until the port and the model are in the log; returns the port. */
  private static String awaitServing(BufferedReader log) throws IOException {
    StringBuilder read = new StringBuilder();
    for (String line = log.readLine(); line != null; line = log.readLine()) {
      Matcher port = PORT.matcher(read.append(line).append('\n'));
      if (port.find() && read.indexOf("serving digits/1 on cpu") >= 0) {
        return port.group(1);
      }
    }
    throw new AssertionError("it does not serve:\n" + read);
  }

  private static Matcher awaitMatch(BufferedReader log, Pattern pattern) throws IOException {
    List<String> read = new ArrayList<>();
    for (String line = log.readLine(); line != null; line = log.readLine()) {
      read.add(line);
      Matcher matcher = pattern.matcher(line);
      if (matcher.find()) {
        return matcher;
      }
    }
    throw new AssertionError("no " + pattern + " in " + read);
  }
}
