package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.ReadTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final long SIZE = 1600 << 10;

  private final AtomicLong now = new AtomicLong();
  private final ResponseBudget budget = new ResponseBudget(SIZE, now::get);

  @Test
  void aConnectionAlone_mayHaveHalfOfWhatItsAddressMayHave() {
    assertThat(fill("a", 1 << 10)).isEqualTo(SIZE * 3 / 8);
  }

  @Test
  void eachOfSeveral_mayHaveAsMuchAsItLeavesFree() {
    ResponseBudget.Reservation half = budget.reserve(connection("a"), SIZE * 3 / 8);
    assertThat(fill("b", 1 << 10)).isEqualTo(SIZE * 3 / 16);
    assertThat(fill("c", 1 << 10)).isEqualTo(SIZE * 3 / 32);

    half.close();
    assertThat(fill("b", 1 << 10)).as("and b again").isPositive();
  }

  @Test
  void clientsOfOneAddress_leaveMemoryToOthers() {
    for (int i = 0; i < 100; i++) {
      fill("connection " + i, 1 << 10);
    }
    assertThat(fill(new ClientConnection("z", "another address"), 1 << 10))
        .isGreaterThanOrEqualTo(SIZE / 8);
  }

  @Test
  void aRefusal_namesTheBytes_andWhenToTryAgain() {
    ResponseBudget.Reservation first = budget.reserve(connection("a"), 400 << 10);
    RequestException refused =
        catchThrowableOfType(
            RequestException.class, () -> budget.reserve(connection("a"), (300 << 10) - 1));
    assertThat(refused.code()).isEqualTo(RequestException.Code.OVERLOADED);
    assertThat(refused.retryAfter()).isPositive();
    assertThat(refused)
        .hasMessageContaining("300 KiB")
        .hasMessageContaining("400 KiB")
        .hasMessageContaining("800 KiB");
    ResponseBudget.Reservation second = budget.reserve(connection("b"), 300 << 10);
    assertThat(budget.reserved()).isEqualTo(700 << 10);

    first.close();
    first.close();
    assertThat(budget.reserved()).as("closed twice, given back once").isEqualTo(300 << 10);
    second.close();
    assertThat(budget.reserved()).isZero();
  }

  @Test
  void responsesThatAreNotReadInTime_areCancelledOnce() {
    List<String> cancelled = new ArrayList<>();
    ResponseBudget.Reservation unread = budget.reserve(connection("a"), 1 << 10);
    ResponseBudget.Reservation read = budget.reserve(connection("a"), 1 << 10);
    ResponseBudget.Reservation closed = budget.reserve(connection("a"), 1 << 10);
    ResponseBudget.Reservation notSent = budget.reserve(connection("a"), 1 << 10);
    unread.sent(() -> cancelled.add("unread"));
    read.sent(() -> cancelled.add("read"));
    closed.sent(() -> cancelled.add("closed"));

    now.addAndGet(ReadTime.DEFAULT.of(1 << 10).toNanos());
    budget.unread().cancelStalled();
    assertThat(cancelled).as("it is not yet late").isEmpty();
    read.read();
    closed.close();
    now.addAndGet(1);
    budget.unread().cancelStalled();
    budget.unread().cancelStalled();
    assertThat(cancelled).containsExactly("unread");

    List.of(unread, read, notSent).forEach(ResponseBudget.Reservation::close);
    assertThat(budget.reserved()).isZero();
  }

  @Test
  void largeResponses_haveMoreTime() {
    ResponseBudget.Reservation large = budget.reserve(connection("a"), SIZE / 4);
    List<String> cancelled = new ArrayList<>();
    large.sent(() -> cancelled.add("large"));
    now.addAndGet(ReadTime.DEFAULT.grace().toNanos() + 1);
    budget.unread().cancelStalled();
    assertThat(cancelled).isEmpty();
    large.close();
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
        reserved.add(budget.reserve(connection(connection), bytes));
      } catch (RequestException e) {
        refused++;
        reserved.remove().close();
      }
      assertThat(budget.reserved()).isBetween(0L, SIZE);
    }
    assertThat(refused).isPositive();
    reserved.forEach(ResponseBudget.Reservation::close);
    assertThat(budget.reserved()).isZero();
    assertThat(fill("c1", 1 << 10)).as("nothing is held against it").isEqualTo(SIZE * 3 / 8);
  }

  private static ClientConnection connection(String id) {
    return new ClientConnection(id, "an address");
  }

  private long fill(String connection, long each) {
    return fill(connection(connection), each);
  }

  /** Reserves as often as it may; how many bytes that is. */
  private long fill(ClientConnection connection, long each) {
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
