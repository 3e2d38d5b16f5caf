package dev.dcgan.trainer.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.TrainerMain;
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

/** Starts the program by {@code bin/trainer} as the shell of an operator does. */
final class LauncherTest {

  @TempDir private Path folder;

  /** A program folder whose JDK starts the program on the tests' class path. */
  @BeforeEach
  void installProgram() throws IOException {
    Files.createDirectories(folder.resolve("bin"));
    Files.createDirectories(folder.resolve("jdk/bin"));
    Files.copy(Path.of("src/main/bin/trainer"), folder.resolve("bin/trainer"));
    script(
        "jdk/bin/java",
        """
        #!/bin/sh
        while [ "$1" != dev.dcgan.trainer.TrainerMain ]; do shift; done
        shift
        exec '%s/bin/java' -cp '%s' %s "$@"
        """
            .formatted(
                System.getProperty("java.home"),
                System.getProperty("java.class.path"),
                TrainerMain.class.getName()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"LC_ALL=C", "LC_ALL=POSIX", "LANG=C", "NONE=", "LC_ALL=C.UTF-8"})
  void fileNames_workInAnyLocale(String locale) throws Exception {
    String output =
        run(
            """
            mkdir -p 'Bilder/Gr\u00F6\u00DFe \u9CE5'
            env '%s' sh bin/trainer train --data 'Bilder/Gr\u00F6\u00DFe \u9CE5' --epochs 0
            """
                .formatted(locale));

    // The folder was found: only the number is wrong.
    assertThat(output).contains("--epochs").doesNotContain("--data", "Exception");
  }

  @Test
  void temporaryFolder_isTheFirstThatCanBeWritten() throws Exception {
    script("jdk/bin/java", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");

    String output =
        run(
            """
            mkdir ok; touch file
            TMPDIR=$PWD/ok sh bin/trainer
            TMPDIR=$PWD/file sh bin/trainer
            JAVA_OPTS=-Djava.io.tmpdir=own TMPDIR=$PWD/ok sh bin/trainer
            """);

    assertThat(output.lines().filter(line -> line.startsWith("-Djava.io.tmpdir=")))
        .containsExactly(
            "-Djava.io.tmpdir=" + folder.toRealPath().resolve("ok"),
            "-Djava.io.tmpdir=/tmp",
            "-Djava.io.tmpdir=own");
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
