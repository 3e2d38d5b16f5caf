package dev.dcgan.sampler.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.sampler.runtime.CudaDevice;
import dev.dcgan.sampler.runtime.Provider;
import java.io.IOException;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** Runs only where CUDA works. */
class RuntimeOptionsCudaTest {

  @BeforeAll
  static void requireCuda() {
    CudaDevice.assume();
  }

  @Test
  void auto_findsTheGpu() throws IOException {
    assertThat(parse("--provider", "auto").chooseProvider()).isEqualTo(Provider.CUDA);
  }

  @Test
  void deviceIdOutOfRange_isRejectedInOneLine() {
    RuntimeOptions options = parse("--provider", "cuda", "--device-id", "255");
    assertThatThrownBy(options::chooseProvider)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("device 255")
        .message()
        .doesNotContain("\n");
  }

  private static RuntimeOptions parse(String... arguments) {
    RuntimeOptions options = new RuntimeOptions();
    CommandLine.populateCommand(options, arguments);
    return options;
  }
}
