package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 1, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RunLockTest {

  @TempDir private Path folder;

  @Test
  void tryLock_twiceInOneProcess_givesOne_andTheNextAfterItsClose() throws IOException {
    Path file = folder.resolve(".lock");
    try (RunLock lock = RunLock.tryLock(file).orElseThrow()) {
      assertThat(lock).isNotNull();
      assertThat(RunLock.tryLock(file)).isEmpty();
      assertThat(RunLock.tryLock(folder.resolve("../" + folder.getFileName() + "/.lock")))
          .isEmpty();
    }
    RunLock.tryLock(file).orElseThrow().close();
  }

  @Test
  void aRefusedTry_doesNotOpenTheRunToOtherProcesses() throws Exception {
    Path file = folder.resolve(".lock");
    try (RunLock lock = RunLock.tryLock(file).orElseThrow()) {
      assertThat(lock).isNotNull();
      assertThat(RunLock.tryLock(file)).isEmpty();

      assertThat(elsewhere(file)).isEqualTo("taken");
    }
    assertThat(elsewhere(file)).isEqualTo("free");
  }

  @Test
  void aProcessThatIsKilled_letsGo() throws Exception {
    Path file = folder.resolve(".lock");
    Process process = start(file, "hold");
    try (BufferedReader reader = process.inputReader()) {
      assertThat(reader.readLine()).isEqualTo("free");
      assertThat(RunLock.tryLock(file)).isEmpty();
      process.destroyForcibly();
      process.waitFor();
    }
    RunLock.tryLock(file).orElseThrow().close();
  }

  private static String elsewhere(Path file) throws IOException {
    try (BufferedReader reader = start(file, "leave").inputReader()) {
      return reader.readLine();
    }
  }

  private static Process start(Path file, String then) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Other.class.getName(),
            file.toString(),
            then)
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  /** Another process: says whether it got the lock, and holds it for as long as it may. */
  static final class Other {

    private Other() {}

    public static void main(String[] args) throws IOException {
      System.out.println(RunLock.tryLock(Path.of(args[0])).isPresent() ? "free" : "taken");
      if (args[1].equals("hold")) {
        System.in.read();
      }
    }
  }
}
