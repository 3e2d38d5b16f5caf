package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.ReadTime;
import dev.dcgan.server.StallCheck;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class StallCheckTest {

  private static final ClientConnection CONNECTION = new ClientConnection("a", "an address");

  private final AtomicLong now = new AtomicLong();
  private final ResponseBudget budget = new ResponseBudget(1 << 20, now::get);
  private final StallCheck check = new StallCheck(budget, now::get);

  @Test
  void timeInWhichTheProcessWasSuspended_doesNotCount() {
    AtomicInteger cancelled = new AtomicInteger();
    try (ResponseBudget.Reservation response = budget.reserve(CONNECTION, 1)) {
      response.sent(cancelled::incrementAndGet);
      pass(Duration.ofHours(1));
      assertThat(cancelled).as("after it was suspended").hasValue(0);

      for (long second = 0; second < ReadTime.DEFAULT.grace().toSeconds(); second++) {
        pass(StallCheck.INTERVAL);
      }
      assertThat(cancelled).as("when it has run as long as clients may take").hasValue(0);
      pass(StallCheck.INTERVAL);
      assertThat(cancelled).hasValue(1);
    }
  }

  private void pass(Duration time) {
    now.addAndGet(time.toNanos());
    check.run();
  }
}
