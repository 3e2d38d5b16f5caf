package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingDeviceTest {

  @Test
  void select_aNumberThatNoMachineHas_isRefused_notReplacedByAnother() {
    assertThatThrownBy(() -> TrainingDevice.select("cuda:99"))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("--device cuda:99: ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "cpu", "cuda", "cuda:0", "cuda:12"})
  void isChoice(String choice) {
    assertThat(TrainingDevice.isChoice(choice)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "cuda:", "cuda:x", "cuda:123", "cpu:0"})
  void isNoChoice(String choice) {
    assertThat(TrainingDevice.isChoice(choice)).isFalse();
  }
}
