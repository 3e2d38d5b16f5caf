package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.ReadTime;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final int MIB = 1 << 20;
  private static final ClientConnection CONNECTION = new ClientConnection("a", "127.0.0.1");

  private final AtomicLong now = new AtomicLong();
  private final ResponseBudget budget = new ResponseBudget(now::get);

  @Test
  void unreadResponses_areRefused_untilOneIsRead() {
    ResponseBudget.Share first = budget.share(CONNECTION);
    assertThat(first.acquire(16 * MIB)).isTrue();
    assertThat(budget.share(CONNECTION).acquire(16 * MIB)).isFalse();
    assertThat(budget.share(new ClientConnection("b", "127.0.0.2")).acquire(16 * MIB)).isTrue();

    first.release();
    first.release();

    assertThat(budget.share(CONNECTION).acquire(16 * MIB)).isTrue();
    assertThat(budget.share(CONNECTION).acquire(16 * MIB)).isFalse();
  }

  @Test
  void aCallThatWasCancelledBefore_usesNothing() {
    ResponseBudget.Share cancelled = budget.share(CONNECTION);
    cancelled.release();

    assertThat(cancelled.acquire(16 * MIB)).isTrue();

    assertThat(budget.share(CONNECTION).acquire(16 * MIB)).isTrue();
  }

  @Test
  void aResponseThatIsReadInParts_holdsWhatIsUnread() {
    ResponseBudget.Share share = budget.share(CONNECTION);
    assertThat(share.acquire(8 * MIB)).isTrue();
    assertThat(share.acquire(8 * MIB)).isTrue();
    assertThat(budget.reserved()).isEqualTo(16 * MIB);
    share.read();
    assertThat(budget.reserved()).isZero();
    assertThat(share.acquire(16 * MIB)).isTrue();
    share.release();
    assertThat(budget.reserved()).isZero();
  }

  @Test
  void aResponseThatIsNotReadInTime_isCancelled_once() {
    AtomicInteger cancelled = new AtomicInteger();
    ResponseBudget.Share late = budget.share(CONNECTION);
    ResponseBudget.Share read = budget.share(CONNECTION);
    for (ResponseBudget.Share share : List.of(late, read)) {
      assertThat(share.acquire(MIB)).isTrue();
      share.sent(cancelled::incrementAndGet);
    }
    read.read();
    now.addAndGet(ReadTime.DEFAULT.of(MIB).toNanos());
    budget.unread().cancelStalled();
    assertThat(cancelled).hasValue(0);

    budget.unread().extend(Duration.ofSeconds(1)); // The process was suspended.
    now.addAndGet(Duration.ofSeconds(1).toNanos());
    budget.unread().cancelStalled();
    assertThat(cancelled).hasValue(0);

    now.addAndGet(1);
    budget.unread().cancelStalled();
    budget.unread().cancelStalled();
    assertThat(cancelled).hasValue(1);
    assertThat(budget.reserved()).as("until the call has ended").isEqualTo(MIB);
    late.release();
    assertThat(budget.reserved()).isZero();
  }
}
