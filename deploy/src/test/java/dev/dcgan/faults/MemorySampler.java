package dev.dcgan.faults;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LongSummaryStatistics;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Samples the resident memory (RSS) of a program five times a second. Thread-safe. */
final class MemorySampler implements AutoCloseable {

  private static final Pattern RESIDENT = Pattern.compile("VmRSS:\\s+(\\d+) kB");

  private final Path status;
  private final Thread thread = new Thread(this::sample, "memory");

  // Mutable state
  @GuardedBy("this") private final LongSummaryStatistics megabytes = new LongSummaryStatistics();

  MemorySampler(Program program) {
    status = Path.of("/proc", Long.toString(program.pid()), "status");
    thread.start();
  }

  /** The least, in MiB. */
  synchronized long least() {
    return megabytes.getMin();
  }

  /** The most, in MiB. */
  synchronized long most() {
    return megabytes.getMax();
  }

  private void sample() {
    try {
      while (true) {
        Matcher resident = RESIDENT.matcher(Files.readString(status));
        if (resident.find()) {
          synchronized (this) {
            megabytes.accept(Long.parseLong(resident.group(1)) >> 10);
          }
        }
        TimeUnit.MILLISECONDS.sleep(200);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
