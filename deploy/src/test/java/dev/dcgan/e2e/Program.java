package dev.dcgan.e2e;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A running process. A thread collects its standard output and error. */
public final class Program implements AutoCloseable {

  private static final long PATIENCE_SECONDS = 120;

  private final Process process;
  private final Thread reader;

  // Mutable state
  @GuardedBy("this") private final List<String> lines = new ArrayList<>();

  @GuardedBy("this") private boolean ended;

  private Program(Process process) {
    this.process = process;
    reader = new Thread(this::collect, "output");
    reader.start();
  }

  public static Program start(Path folder, List<String> command) throws IOException {
    return new Program(
        new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).start());
  }

  /** Runs a command and returns its output; fails if the exit code is not 0. */
  public static String run(Path folder, List<String> command)
      throws IOException, InterruptedException {
    try (Program program = start(folder, command)) {
      int exitCode = program.awaitExit();
      if (exitCode != 0) {
        throw new AssertionError(command + " ended with " + exitCode + ":\n" + program.output());
      }
      return program.output();
    }
  }

  /** Skips the test, naming what is absent, if the command does not exit with 0. */
  public static void assumeRuns(String required, String... command) throws InterruptedException {
    boolean runs;
    try {
      run(Path.of("."), List.of(command));
      runs = true;
    } catch (IOException | AssertionError e) {
      runs = false;
    }
    assumeTrue(runs, required + " is absent");
  }

  /** Waits for a line in which the pattern is found. */
  public Matcher awaitLine(String pattern) throws InterruptedException {
    Pattern compiled = Pattern.compile(pattern);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    synchronized (this) {
      for (int next = 0; ; ) {
        for (; next < lines.size(); next++) {
          Matcher matcher = compiled.matcher(lines.get(next));
          if (matcher.find()) {
            return matcher;
          }
        }
        long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        if (ended || left <= 0) {
          throw new AssertionError("no line with '" + pattern + "' in:\n" + output());
        }
        wait(left);
      }
    }
  }

  /** Sends SIGTERM. */
  public void terminate() {
    process.toHandle().destroy(); // Process.destroy would also close the output.
  }

  /** Sends a signal, for example {@code STOP}. */
  public void signal(String name) throws IOException, InterruptedException {
    run(Path.of("."), List.of("kill", "-" + name, Long.toString(pid())));
  }

  public long pid() {
    return process.pid();
  }

  /** Waits at most that long; returns whether the process has ended. */
  public boolean hasEndedWithin(Duration limit) throws InterruptedException {
    return process.waitFor(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  public int awaitExit() throws InterruptedException {
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      throw new AssertionError("still running:\n" + output());
    }
    reader.join();
    return process.exitValue();
  }

  public synchronized String output() {
    return String.join("\n", lines);
  }

  /** Kills the process if it is running; when this returns, it no longer writes to its folder. */
  @Override
  public void close() {
    // Process.destroyForcibly would also close the output, which the thread still reads.
    boolean unused = process.toHandle().destroyForcibly();
    process.onExit().join();
  }

  private void collect() {
    try (BufferedReader output = process.inputReader()) {
      for (String line = output.readLine(); line != null; line = output.readLine()) {
        synchronized (this) {
          lines.add(line);
          notifyAll();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      synchronized (this) {
        ended = true;
        notifyAll();
      }
    }
  }
}
