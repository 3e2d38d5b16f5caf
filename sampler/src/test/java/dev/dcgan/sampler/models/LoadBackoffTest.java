package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.dcgan.sampler.models.LoadBackoff.TooEarlyException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LoadBackoffTest {

  private final AtomicLong now = new AtomicLong();
  private final LoadBackoff<String> backoff = new LoadBackoff<>(Duration.ofSeconds(2), now::get);

  @Test
  void delays_grow_upToALimit() {
    List<Long> seconds = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      backoff.failed("m/1", "f", new IOException("short of memory"));
      seconds.add(left().toSeconds());
      now.addAndGet(left().toNanos());
      assertThatCode(() -> backoff.requireDue("m/1", "f")).doesNotThrowAnyException();
    }
    assertThat(seconds).containsExactly(2L, 4L, 8L, 16L, 32L, 64L, 128L, 256L, 300L);
  }

  @Test
  void changedFiles_otherVersions_andSuccess_startAgain() {
    backoff.failed("m/1", "f", new IOException("short of memory"));
    backoff.failed("m/1", "f", new IOException("short of memory"));
    assertThatCode(() -> backoff.requireDue("m/2", "f")).doesNotThrowAnyException();
    assertThatCode(() -> backoff.requireDue("m/1", "other")).doesNotThrowAnyException();
    backoff.failed("m/1", "other", new IOException("short of memory"));
    backoff.succeeded("m/1");
    backoff.failed("m/1", "f", new IOException("short of memory"));
    assertThat(left()).isEqualTo(Duration.ofSeconds(2));
    backoff.forget("m/1"::equals);
    assertThatCode(() -> backoff.requireDue("m/1", "f")).doesNotThrowAnyException();
  }

  private Duration left() {
    return catchThrowableOfType(TooEarlyException.class, () -> backoff.requireDue("m/1", "f"))
        .left();
  }
}
