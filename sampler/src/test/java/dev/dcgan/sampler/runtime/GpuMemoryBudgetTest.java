package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class GpuMemoryBudgetTest {

  private static final long MIB = 1 << 20;
  private static final int[] BUCKETS = {1, 2, 4, 8, 16, 32, 64, 128, 256};

  @Test
  void limits_ofAllSessions_stayWithinTheLimitOfTheVersion() throws IOException {
    GpuMemoryBudget budget = GpuMemoryBudget.of(4096 * MIB, 50 * MIB, 2, BUCKETS);
    long all = 2 * IntStream.of(BUCKETS).mapToLong(budget::limit).sum();
    assertThat(all).isLessThanOrEqualTo(4096 * MIB).isGreaterThan(4095 * MIB);
    assertThat(budget.limit(1)).isGreaterThan(100 * MIB);
    assertThat(budget.limit(256)).isGreaterThan(3 * budget.limit(1));
  }

  @Test
  void limit_ofOneFixedSize_isTheLanesShare() throws IOException {
    long limit = GpuMemoryBudget.of(1024 * MIB, 10 * MIB, 2, new int[] {256}).limit(256);
    assertThat(limit).isBetween(512 * MIB - 2, 512 * MIB);
  }

  @Test
  void withoutALimit_noSessionHasOne() throws IOException {
    GpuMemoryBudget budget = GpuMemoryBudget.of(0, 50 * MIB, 2, BUCKETS);
    assertThat(budget.limit(1)).isZero();
    assertThat(budget.limit(256)).isZero();
  }

  @Test
  void limitBelowTheWeights_isRejected() {
    assertThatThrownBy(() -> GpuMemoryBudget.of(512 * MIB, 50 * MIB, 2, BUCKETS))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("900 MiB")
        .hasMessageContaining("--gpu-memory");
  }
}
