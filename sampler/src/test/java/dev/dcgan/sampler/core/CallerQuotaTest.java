package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CallerQuotaTest {

  private final AtomicLong now = new AtomicLong();
  private final CallerQuota quota = new CallerQuota(10, now::get);

  @Test
  void aCaller_getsItsRate_whateverTheSizeOfRequests() {
    assertThat(quota.take("a", 25)).isZero();
    // 15 in debt, and one more until it holds one.
    assertThat(quota.take("a", 1)).isBetween(Duration.ofMillis(1600), Duration.ofMillis(1601));
    assertThat(quota.take("b", 1)).isZero();
    pass(Duration.ofMillis(1500));
    assertThat(quota.take("a", 1)).isPositive();
    pass(Duration.ofMillis(101));
    assertThat(quota.take("a", 1)).isZero();
  }

  @Test
  void aBucket_holdsOneSecond() {
    assertThat(quota.take("a", 10)).isZero();
    pass(Duration.ofHours(1));
    assertThat(quota.take("a", 9)).isZero();
    assertThat(quota.take("a", 9)).isZero();
    assertThat(quota.take("a", 1)).isPositive();
  }

  @Test
  void whatWasNotMade_isReturned() {
    assertThat(quota.take("a", 100)).isZero();
    quota.refund("a", 100);
    assertThat(quota.take("a", 1)).isZero();
  }

  @Test
  void withoutALimit_nobodyWaits() {
    assertThat(CallerQuota.UNLIMITED.take("a", Long.MAX_VALUE)).isZero();
    assertThat(CallerQuota.UNLIMITED.take("a", Long.MAX_VALUE)).isZero();
  }

  private void pass(Duration time) {
    now.addAndGet(time.toNanos());
  }
}
