package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.server.ClientConnection;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final int MIB = 1 << 20;
  private static final ClientConnection CONNECTION = new ClientConnection("a", "127.0.0.1");

  private final ResponseBudget budget = new ResponseBudget();

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
}
