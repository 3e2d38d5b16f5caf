package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class LimitedLogTest {

  private final AtomicLong now = new AtomicLong();
  private final LimitedLog limited = new LimitedLog(now::get);

  @Test
  void aFlood_isOneEntryPerInterval_withTheNumberLeftOut() {
    long interval = LimitedLog.INTERVAL.toNanos();
    long logged = 0;
    for (int i = 0; i < 50_000; i++) {
      now.set(i * (3 * interval / 50_000));
      logged += limited.next().isPresent() ? 1 : 0;
    }
    assertThat(logged).isEqualTo(3);
    now.addAndGet(interval);
    assertThat(limited.next().orElseThrow()).isBetween(16_000L, 17_000L);
  }
}
