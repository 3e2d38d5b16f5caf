package dev.dcgan.sampler.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.runtime.Provider;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class RuntimeOptionsTest {

  @Test
  void deviceId_isThatOfTheSettings() {
    assertThat(parse().settings(Provider.CUDA).deviceId()).isZero();
    assertThat(parse("--device-id", "3").settings(Provider.CUDA).deviceId()).isEqualTo(3);
  }

  @Test
  void weightCopies_countEverySessionOfAVersion() {
    RuntimeOptions options = parse("--sessions", "2", "--max-batch", "256");
    assertThat(options.weightCopies(Provider.CPU)).isEqualTo(1);
    assertThat(options.weightCopies(Provider.CUDA)).as("1, 2, 4 ... 256").isEqualTo(2 * 9);
  }

  @Test
  void gpuMemory_isInBytes() {
    assertThat(parse("--gpu-memory", "4096").settings(Provider.CUDA).gpuMemoryBytes())
        .isEqualTo(4096L << 20);
  }

  private static RuntimeOptions parse(String... arguments) {
    RuntimeOptions options = new RuntimeOptions();
    CommandLine.populateCommand(options, arguments);
    return options;
  }
}
