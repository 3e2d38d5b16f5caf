package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.trainer.gan.Architecture;
import org.junit.jupiter.api.Test;

class BenchmarkTest {

  @Test
  void operationsPerImage_countsEveryProduct() {
    // By hand, multiplications: the generator's layers 294912, 18874368, 10616832, 346112; the
    // discriminator's 43264, 204800, 512. Without gradients for z and for images.
    double generator = 3 * 294912d + 4 * (18874368d + 10616832d + 346112d);
    double discriminator = 6 * 43264d + 8 * (204800d + 512d);

    assertThat(Benchmark.operationsPerImage(Architecture.mnist28(64, 128)))
        .isCloseTo(2 * (generator + discriminator), within(0.5));
  }
}
