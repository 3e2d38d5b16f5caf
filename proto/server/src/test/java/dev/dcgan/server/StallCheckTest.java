package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class StallCheckTest {

  private final AtomicLong now = new AtomicLong();
  private final UnreadResponses responses = new UnreadResponses(now::get);
  private final StallCheck check = new StallCheck(responses, now::get);

  @Test
  void timeInWhichTheProcessWasSuspended_doesNotCount() {
    AtomicInteger cancelled = new AtomicInteger();
    responses.response().sent(1, cancelled::incrementAndGet);
    pass(Duration.ofHours(1));
    assertThat(cancelled).as("after it was suspended").hasValue(0);

    for (long second = 0; second < ReadTime.DEFAULT.grace().toSeconds(); second++) {
      pass(StallCheck.INTERVAL);
    }
    assertThat(cancelled).as("when it has run as long as clients may take").hasValue(0);
    pass(StallCheck.INTERVAL);
    assertThat(cancelled).hasValue(1);
  }

  private void pass(Duration time) {
    now.addAndGet(time.toNanos());
    check.run();
  }
}
