package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ResponseBudgetTest {

  private static final long SIZE = 1200 << 10;

  private final ResponseBudget room = new ResponseBudget(SIZE);

  @Test
  void aConnectionAlone_mayHaveHalf() {
    assertThat(fill("a", 1 << 10)).isEqualTo(SIZE / 2);
  }

  @Test
  void eachOfSeveral_mayHaveAsMuchAsItLeavesFree() {
    assertThat(fill("a", 1 << 10)).isEqualTo(SIZE / 2);
    assertThat(fill("b", 1 << 10)).isEqualTo(SIZE / 4);
    assertThat(fill("c", 1 << 10)).isEqualTo(SIZE / 8 - (SIZE / 8) % 1024);

    room.giveBack("a", SIZE / 2);
    assertThat(fill("b", 1 << 10)).as("and b again").isPositive();
  }

  @Test
  void refusal_saysWhatIsTaken_andWhenToComeBack() {
    room.take("a", 400 << 10);
    RequestException refused = catchThrowableOfType(RequestException.class, () -> room.take("a", (300 << 10) - 1));
    assertThat(refused.kind()).isEqualTo(RequestException.Kind.OVERLOADED);
    assertThat(refused.retryAfter()).isPositive();
    assertThat(refused)
        .hasMessage(
            "an answer of up to 300 KiB has no room: those on their way to this connection take"
                + " 400 KiB, and 800 KiB are free for all; read them first, or make fewer calls at"
                + " once");
    room.take("b", 300 << 10);
    assertThat(room.taken()).isEqualTo(700 << 10);
  }

  @Test
  void whateverComesAndGoes_theSizeIsKept_andAllOfItComesBack() {
    record Taken(String connection, long bytes) {}
    Random random = new Random(1);
    Deque<Taken> taken = new ArrayDeque<>();
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      Taken next = new Taken("c" + random.nextInt(50), random.nextInt(100_000));
      try {
        room.take(next.connection, next.bytes);
        taken.add(next);
      } catch (RequestException e) {
        refused++;
        Taken oldest = taken.remove();
        room.giveBack(oldest.connection, oldest.bytes);
      }
      assertThat(room.taken()).isBetween(0L, SIZE);
    }
    assertThat(refused).isPositive();
    taken.forEach(each -> room.giveBack(each.connection, each.bytes));
    assertThat(room.taken()).isZero();
    assertThat(fill("c1", 1 << 10)).as("nothing is held against it").isEqualTo(SIZE / 2);
  }

  private long fill(String connection, long each) {
    long before = room.taken();
    try {
      while (true) {
        room.take(connection, each);
      }
    } catch (RequestException e) {
      return room.taken() - before;
    }
  }
}
