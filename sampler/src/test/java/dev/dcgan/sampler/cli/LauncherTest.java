package dev.dcgan.sampler.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.SamplerMain;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Starts the program by {@code bin/sampler} as the shell of an operator does. */
final class LauncherTest {

  @TempDir private Path folder;

  /** A program folder whose JDK starts the program on the tests' class path. */
  @BeforeEach
  void installProgram() throws IOException {
    Files.createDirectories(folder.resolve("bin"));
    Files.createDirectories(folder.resolve("jdk/bin"));
    Files.copy(Path.of("src/main/bin/sampler"), folder.resolve("bin/sampler"));
    script(
        "jdk/bin/java",
        """
        #!/bin/sh
        while [ "$1" != dev.dcgan.sampler.SamplerMain ]; do shift; done
        shift
        exec '%s/bin/java' -cp '%s' %s "$@"
        """
            .formatted(
                System.getProperty("java.home"),
                System.getProperty("java.class.path"),
                SamplerMain.class.getName()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"LC_ALL=C", "LC_ALL=POSIX", "LANG=C", "NONE=", "LC_ALL=C.UTF-8"})
  void fileNames_workInAnyLocale(String locale) throws Exception {
    String output =
        run(
            """
            mkdir -p 'Modelle/Gr\u00F6\u00DFe \u9CE5'
            env '%s' sh bin/sampler serve --repository 'Modelle/Gr\u00F6\u00DFe \u9CE5' --port 0 --http-port -1
            """
                .formatted(locale));

    // The folder was found: only the port is wrong.
    assertThat(output).contains("--http-port").doesNotContain("--repository", "Exception");
  }

  @Test
  void heapOfTheOperator_mayBeSmallerThanTheLeastOne() throws Exception {
    script("jdk/bin/java", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    assertThat(run("JAVA_OPTS=-Xmx96m sh bin/sampler\n").lines())
        .contains("-Xmx96m")
        .noneMatch(line -> line.startsWith("-Xms"));
    assertThat(run("sh bin/sampler\n").lines()).contains("-Xms128m");
  }

  private String run(String commands) throws Exception {
    script("run", "#!/bin/sh\nexport JAVA_HOME=$PWD/jdk\n" + commands);
    ProcessBuilder builder =
        new ProcessBuilder("sh", "run").directory(folder.toFile()).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.matches("LC_.*|LANG.*"));
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }

  private void script(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.writeString(file, text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
  }
}
