package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final long SIZE = 1200 << 10;

  private final ResponseBudget budget = new ResponseBudget(SIZE);

  @Test
  void aConnectionAlone_mayHaveHalf() {
    assertThat(fill("a", 1 << 10)).isEqualTo(SIZE / 2);
  }

  @Test
  void eachOfSeveral_mayHaveAsMuchAsItLeavesFree() {
    ResponseBudget.Reservation half = budget.reserve("a", SIZE / 2);
    assertThat(fill("b", 1 << 10)).isEqualTo(SIZE / 4);
    assertThat(fill("c", 1 << 10)).isEqualTo(SIZE / 8 - (SIZE / 8) % 1024);

    half.close();
    assertThat(fill("b", 1 << 10)).as("and b again").isPositive();
  }

  @Test
  void aRefusal_namesTheBytes_andWhenToTryAgain() {
    ResponseBudget.Reservation first = budget.reserve("a", 400 << 10);
    RequestException refused =
        catchThrowableOfType(RequestException.class, () -> budget.reserve("a", (300 << 10) - 1));
    assertThat(refused.code()).isEqualTo(RequestException.Code.OVERLOADED);
    assertThat(refused.retryAfter()).isPositive();
    assertThat(refused)
        .hasMessageContaining("300 KiB")
        .hasMessageContaining("400 KiB")
        .hasMessageContaining("800 KiB");
    ResponseBudget.Reservation second = budget.reserve("b", 300 << 10);
    assertThat(budget.reserved()).isEqualTo(700 << 10);

    first.close();
    first.close();
    assertThat(budget.reserved()).as("closed twice, given back once").isEqualTo(300 << 10);
    second.close();
    assertThat(budget.reserved()).isZero();
  }

  @Test
  void whateverComesAndGoes_theSizeIsKept_andAllIsGivenBack() {
    Random random = new Random(1);
    Deque<ResponseBudget.Reservation> reserved = new ArrayDeque<>();
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      String connection = "c" + random.nextInt(50);
      long bytes = random.nextInt(100_000);
      try {
        reserved.add(budget.reserve(connection, bytes));
      } catch (RequestException e) {
        refused++;
        reserved.remove().close();
      }
      assertThat(budget.reserved()).isBetween(0L, SIZE);
    }
    assertThat(refused).isPositive();
    reserved.forEach(ResponseBudget.Reservation::close);
    assertThat(budget.reserved()).isZero();
    assertThat(fill("c1", 1 << 10)).as("nothing is held against it").isEqualTo(SIZE / 2);
  }

  /** Reserves as often as it may; how many bytes that is. */
  private long fill(String connection, long each) {
    long before = budget.reserved();
    try {
      while (true) {
        ResponseBudget.Reservation unused = budget.reserve(connection, each);
        assertThat(unused).isNotNull();
      }
    } catch (RequestException e) {
      return budget.reserved() - before;
    }
  }
}
