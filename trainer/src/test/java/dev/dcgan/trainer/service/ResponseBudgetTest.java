package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final int MIB = 1 << 20;

  private final ResponseBudget budget = new ResponseBudget();

  @Test
  void oneConnection_hasAQuarter_allTogetherTheWhole() {
    List<ResponseBudget.Share> shares = new ArrayList<>();
    for (int connection = 0; connection < 4; connection++) {
      for (int i = 0; i < 4; i++) {
        ResponseBudget.Share share = budget.share(connection);
        assertThat(share.acquire(4 * MIB)).isTrue();
        shares.add(share);
      }
      assertThat(budget.share(connection).acquire(1)).isFalse();
    }
    assertThat(budget.share("new").acquire(1)).isFalse();

    shares.get(0).release();
    shares.get(0).release();

    assertThat(budget.share("new").acquire(4 * MIB)).isTrue();
    assertThat(budget.share("new").acquire(1)).isFalse();
  }

  @Test
  void aCallThatWasCancelledBefore_usesNothing() {
    ResponseBudget.Share cancelled = budget.share("a");
    cancelled.release();

    assertThat(cancelled.acquire(16 * MIB)).isTrue();

    assertThat(budget.share("a").acquire(16 * MIB)).isTrue();
  }
}
