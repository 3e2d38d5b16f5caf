package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.HostTensor;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The checkpoints of networks. */
class GanNetworksTest {

  private static final Architecture NARROW = Architecture.mnist28(8, 4);

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void checkpoint_writtenAndRestored_leavesNoArrayBehind() throws IOException {
    Path file = folder.resolve("a.safetensors");
    GanNetworks networks = networks(1);
    Checkpoint before = HostTensor.copyOf(networks.checkpoint());
    int arrays = manager.getManagedArrays().size();

    CheckpointFile.write(file, networks.checkpoint());
    GanNetworks others = networks(2);
    int both = manager.getManagedArrays().size();
    others.restore(CheckpointFile.read(file));

    assertThat(HostTensor.copyOf(others.checkpoint()))
        .usingRecursiveComparison()
        .ignoringFields("hyperparameters")
        .isEqualTo(before);
    assertThat(manager.getManagedArrays()).hasSize(both);
    others.pixels(new float[8], new long[0], 1);
    assertThat(both).isEqualTo(2 * arrays);
    assertThat(manager.getManagedArrays()).hasSize(both);
  }

  @Test
  void checkpoint_withAValueThatIsNotFinite_isRefusedByItsName() throws IOException {
    for (String name :
        List.of(
            "generator.01ConvTranspose2d_weight",
            "adam.discriminator.01Conv2d_bias.variance",
            "average.generator.02BatchNorm_runningVar")) {
      for (float value :
          new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
        GanNetworks networks = networks(1);
        Checkpoint poisoned = HostTensor.copyOf(networks.checkpoint());
        float[] values =
            ((HostTensor) Objects.requireNonNull(poisoned.tensors().get(name), name)).values();
        values[values.length / 2] = value;
        networks.restore(poisoned);

        assertThatThrownBy(networks::checkpoint)
            .isInstanceOf(NonFiniteException.class)
            .hasMessageContaining(name);
      }
    }
  }

  @Test
  void trainedGenerator_readsTheAveragedTensorsAlone() throws IOException {
    Checkpoint checkpoint = networks(1).checkpoint();
    List<String> read = new ArrayList<>();
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    checkpoint
        .tensors()
        .forEach((name, tensor) -> tensors.put(name, new Recorded(name, tensor, read)));

    new TrainedGenerator(
            new Checkpoint(
                checkpoint.architecture(),
                checkpoint.hyperparameters(),
                checkpoint.dataset(),
                0,
                0,
                tensors))
        .close();

    assertThat(read).isNotEmpty().allMatch(name -> name.startsWith("average.generator."));
  }

  private GanNetworks networks(long seed) throws IOException {
    return new GanNetworks(
        manager,
        NARROW,
        new Hyperparameters(1, 4, 1e-3f, 1e-3f, 0.5f, 0.999f, 0, 0.9f, 1, seed),
        new Checkpoint.Dataset("none", "00", 4),
        false,
        phase -> {});
  }

  private record Recorded(String name, Tensor tensor, List<String> read) implements Tensor {

    @Override
    public long[] shape() {
      return tensor.shape();
    }

    @Override
    public void read(long first, ByteBuffer into) throws IOException {
      read.add(name);
      tensor.read(first, into);
    }
  }
}
