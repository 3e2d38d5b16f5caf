package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.TorchScript;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BatchUploadTest {

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void upload_onTheCpu_readsTheBatchInPlace() {
    Batch batch = Benchmark.noise(Architecture.mnist28(16, 8), 3);
    float[] expected = new float[3 * (28 * 28 + 2 * 16)];
    batch.values().asFloatBuffer().get(expected);

    NDArray values = new BatchUpload(manager).upload(manager, batch);

    assertThat(values.toFloatArray()).containsExactly(expected);
    batch.values().putFloat(0, 12);
    assertThat(values.toFloatArray()[0]).isEqualTo(12);
  }

  /** The script can run on a CUDA device alone, but its operators are resolved anywhere. */
  @Test
  void script_compiles() {
    assertThatCode(() -> TorchScript.load(manager, List.of(BatchUpload.SCRIPT)))
        .doesNotThrowAnyException();
  }
}
