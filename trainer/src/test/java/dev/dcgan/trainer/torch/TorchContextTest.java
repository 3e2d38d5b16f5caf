package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.LibUtils;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.TorchContext.Settings;
import dev.dcgan.trainer.train.GanNetworks;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TorchContextTest {

  @AfterEach
  void reset() throws IOException {
    TorchContext.get().apply(Settings.of(Precision.FP32, false));
  }

  @Test
  void apply_setsEachSetting_asReadBackFromPyTorch() throws IOException {
    TorchContext context = TorchContext.get();
    for (int i = 0; i < 16; i++) {
      Settings settings = new Settings((i & 1) != 0, (i & 2) != 0, (i & 4) != 0, (i & 8) != 0);

      assertThat(context.apply(settings)).isEqualTo(settings);
      assertThat(TorchContext.get().read()).isEqualTo(settings);
    }
  }

  @Test
  void settings_ofARun() {
    assertThat(Settings.of(Precision.FP32, false))
        .isEqualTo(new Settings(false, false, true, false));
    assertThat(Settings.of(Precision.TF32, true)).isEqualTo(new Settings(true, true, false, true));
  }

  @Test
  void networks_applyTheirHyperparameters() throws IOException {
    Hyperparameters hyperparameters =
        new Hyperparameters(
            1, 2, 1e-3f, 1e-3f, 0.5f, 0.999f, 0, 0, 1, 1, Precision.TF32, true, Extensions.NONE);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      GanNetworks unused =
          new GanNetworks(
              manager,
              Architecture.mnist28(4, 4),
              hyperparameters,
              new Checkpoint.Dataset("", "", 2),
              false,
              phase -> {});
      assertThat(unused.steps()).isZero();
    }

    assertThat(TorchContext.get().read()).isEqualTo(Settings.of(Precision.TF32, true));
  }

  @Test
  void of_anotherLibrary_saysWhatIsMissing() {
    Engine.getInstance();
    Path other = Path.of(LibUtils.getLibtorchPath(), System.mapLibraryName("c10"));

    assertThatIOException()
        .isThrownBy(() -> TorchContext.of(other.toAbsolutePath()))
        .withMessageContaining("globalContext")
        .withMessageContaining("2.7.1");
  }

  @Test
  void of_aLibraryThatIsNotLoaded_refuses() {
    assertThatIOException()
        .isThrownBy(() -> TorchContext.of(Path.of("/no/libtorch_cpu.so")))
        .withMessageContaining("/no/libtorch_cpu.so is not loaded")
        .satisfies(e -> assertThat(e.getMessage()).hasLineCount(1));
  }
}
