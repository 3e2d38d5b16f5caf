package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.dcgan.trainer.torch.NativeFailureException.Kind;
import dev.dcgan.trainer.torch.TrainingDevice.Machine;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

class TrainingDeviceTest {

  private static final String CPU_BUILD =
      "Could not run 'aten::empty_strided' with arguments from the 'CUDA' backend. This could be";
  private static final String NO_DRIVER =
      "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU";

  private final ListAppender<ILoggingEvent> log = new ListAppender<>();

  @BeforeEach
  void openLog() {
    log.start();
    logger().addAppender(log);
  }

  @AfterEach
  void closeLog() {
    logger().detachAppender(log);
  }

  @Test
  void select_ofADeviceNumberThatDoesNotExist_fails() {
    assertThatThrownBy(() -> TrainingDevice.select("cuda:99"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("--device cuda:99: ");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          Could not run 'aten::empty_strided' with arguments from the 'CUDA' backend. This could | CPU build | -Pcuda
          PyTorch is not linked with support for cuda devices                                    | CPU build | -Pcuda
          Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and    | libcuda.so.1 | install
          The NVIDIA driver on your system is too old (found version 11040). Please update       | CUDA 11.4 | update
          No CUDA GPUs are available                                                             | no GPU | CUDA_VISIBLE_DEVICES
          CUDA error: invalid device ordinal                                                     | no such GPU | CUDA_VISIBLE_DEVICES
          CUDA error: no kernel image is available for execution on the device                   | machine code | PYTORCH_LIBRARY_PATH
          CUDA error: uncorrectable ECC error encountered                                        | ECC | nvidia-smi
          CUDA out of memory. Tried to allocate 2.00 MiB.                                        | out of memory | nvidia-smi
          """)
  void select_cuda_thatDoesNotWork_saysWhyAndWhatToDo(String pytorch, String found, String remedy) {
    Machine machine = broken(pytorch + "\nCUDA kernel errors might be reported later\n");

    assertThatIOException()
        .isThrownBy(() -> TrainingDevice.select("cuda:7", "", machine))
        .withMessageContaining("--device cuda:7: ")
        .withMessageContainingAll(found, remedy, "--device cpu")
        .withMessageNotContaining("\n")
        .isNotInstanceOf(NativeFailureException.class);
  }

  @Test
  void select_auto_withoutAGpu_isTheCpu_andWarnsInOneLine() throws Exception {
    TrainingDevice device = TrainingDevice.select("auto", "", broken(NO_DRIVER));

    assertThat(device).hasToString("cpu");
    assertThat(log.list)
        .singleElement()
        .satisfies(
            line -> {
              assertThat(line.getLevel()).isEqualTo(Level.WARN);
              assertThat(line.getFormattedMessage())
                  .contains("libcuda.so.1", "--device cpu")
                  .doesNotContain("\n");
            });
  }

  @Test
  void select_auto_onTheCpuBuild_warnsOnlyWhereThereIsADriver() throws Exception {
    TrainingDevice.select("auto", "", broken(CPU_BUILD));
    TrainingDevice.select("auto", "", new Machine(failing(CPU_BUILD), true));

    assertThat(log.list)
        .extracting(ILoggingEvent::getLevel)
        .containsExactly(Level.INFO, Level.WARN);
  }

  @Test
  void select_auto_withAGpu_isTheFirst() throws Exception {
    Machine machine = new Machine(cuda -> {}, true);

    assertThat(TrainingDevice.select("auto", "", machine)).hasToString("cuda:0");
    assertThat(TrainingDevice.select("cuda:3", "", machine)).hasToString("cuda:3");
  }

  @Test
  void select_auto_staysOnTheDeviceOfTheRun() throws Exception {
    Machine machine = new Machine(cuda -> {}, true);

    assertThat(TrainingDevice.select("auto", "cpu", machine)).hasToString("cpu");
    assertThat(TrainingDevice.select("auto", "cuda:1", machine)).hasToString("cuda:1");
    assertThat(TrainingDevice.select("cpu", "cuda:1", machine)).as("moved").hasToString("cpu");
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "cuda:1"})
  void select_forARunOfAGpu_thatIsGone_isNotTheCpu(String choice) {
    assertThatExceptionOfType(NativeFailureException.class)
        .isThrownBy(() -> TrainingDevice.select(choice, "cuda:1", broken(NO_DRIVER)))
        .satisfies(e -> assertThat(e.kind()).isEqualTo(Kind.DEVICE_LOST))
        .withMessageContainingAll("cuda:1", "libcuda.so.1", "--device cpu");
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "cuda"})
  void select_ofAGpuThatWorkedBefore_isAFailureOfTheDevice(String choice) throws Exception {
    AtomicBoolean broken = new AtomicBoolean();
    Machine machine =
        new Machine(
            cuda -> {
              if (broken.get()) {
                throw new EngineException("CUDA error: unspecified launch failure");
              }
            },
            true);
    TrainingDevice.select("auto", "", machine);
    broken.set(true);

    assertThatExceptionOfType(NativeFailureException.class)
        .isThrownBy(() -> TrainingDevice.select(choice, "", machine))
        .satisfies(e -> assertThat(e.kind()).isEqualTo(Kind.DEVICE_LOST))
        .withMessageContaining("unspecified launch failure");
  }

  @Test
  void loadProblem_namesWhatIsMissing() {
    EngineException linking =
        new EngineException(
            "Failed to load PyTorch native library",
            new UnsatisfiedLinkError("libtorch_cpu.so: libopenblas.so.0: cannot open"));
    EngineException absent =
        new EngineException(
            "Failed to save pytorch index file", new IOException("Offline mode is enabled."));

    assertThat(TrainingDevice.loadProblem(linking, "/opt/torch")).contains("libopenblas.so.0");
    assertThat(TrainingDevice.loadProblem(absent, null)).contains("PYTORCH_LIBRARY_PATH is not");
    assertThat(TrainingDevice.loadProblem(absent, "/nowhere")).contains("/nowhere");
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

  private static Machine broken(String message) {
    return new Machine(failing(message), false);
  }

  private static TrainingDevice.Probe failing(String message) {
    return (Device cuda) -> {
      throw new EngineException(message);
    };
  }

  private static Logger logger() {
    return (Logger) LoggerFactory.getLogger(TrainingDevice.class);
  }
}
