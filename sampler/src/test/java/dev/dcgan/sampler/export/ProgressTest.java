package dev.dcgan.sampler.export;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ProgressTest {

  private final AtomicLong now = new AtomicLong(1234);

  @Test
  void summary_hasTimeAndRate() {
    Progress progress = new Progress(100_000, now::get);
    progress.add(40_000);
    now.addAndGet(Duration.ofSeconds(80).toNanos());
    progress.add(60_000);
    assertThat(progress.summary()).isEqualTo("100000 images in 1 min 20 s, 1250 images/s");
    now.addAndGet(Duration.ofHours(2).toNanos());
    assertThat(progress.summary()).isEqualTo("100000 images in 2 h 01 min, 14 images/s");
  }

  @Test
  void summary_ofNothing_hasNoRate() {
    assertThat(new Progress(0, now::get).summary()).isEqualTo("0 images in 0 min 00 s, 0 images/s");
  }
}
