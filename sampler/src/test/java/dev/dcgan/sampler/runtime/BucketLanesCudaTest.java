package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Buckets on a GPU against the CPU. Runs only where CUDA works. */
class BucketLanesCudaTest {

  private static final int LATENT = TestModels.LATENT;
  private static final int[] BUCKETS = {1, 4, 16, 64};
  private static final int[] MIXED = {1, 64, 3, 17, 1, 4, 5, 16, 64, 2, 33, 1};
  private static final float[] Z = Latents.of(5, 0, 64 * LATENT);

  @TempDir private Path root;

  @BeforeAll
  static void requireCuda() {
    CudaDevice.assume();
  }

  @Test
  void mixedSizes_equalTheCpu_withinOneGreyLevel() throws IOException {
    ModelBundle bundle = publish();
    byte[] expected = onTheCpu(bundle);
    try (VerifiedNetworks lanes = lanes(bundle, 1)) {
      Network lane = lanes.networks().get(0);
      for (int n : MIXED) {
        assertThat(difference(lane, n, expected)).as("%d images", n).isLessThanOrEqualTo(1);
      }
    }
  }

  @Test
  void floats_equalTheCpu_withinHalfAGreyLevel() throws IOException {
    ModelBundle bundle = publish();
    try (Network cpu = OnnxModel.open(bundle, RuntimeSettings.cpu(1), 64, 1).get(0);
        VerifiedNetworks lanes = lanes(bundle, 1)) {
      FloatBuffer expected = floats(cpu.generate(Z, Output.FLOATS).bytes());
      FloatBuffer found = floats(lanes.networks().get(0).generate(Z, Output.FLOATS).bytes());
      while (expected.hasRemaining()) {
        assertThat(Math.abs(expected.get() - found.get())).isLessThan(0.5f / 127.5f);
      }
    }
  }

  @Test
  void twoLanes_inParallel_equalTheCpu() throws Exception {
    ModelBundle bundle = publish();
    byte[] expected = onTheCpu(bundle);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (VerifiedNetworks lanes = lanes(bundle, 2)) {
      List<Callable<Integer>> tasks = new ArrayList<>();
      for (Network lane : lanes.networks()) {
        tasks.add(
            () -> {
              int largest = 0;
              for (int round = 0; round < 20; round++) {
                for (int n : MIXED) {
                  largest = Math.max(largest, difference(lane, n, expected));
                }
              }
              return largest;
            });
      }
      for (Future<Integer> largest : threads.invokeAll(tasks)) {
        assertThat(largest.get()).isLessThanOrEqualTo(1);
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void open_selectsBuckets_verifiesAndProfilesThem() throws IOException {
    ModelBundle bundle = publish();
    byte[] expected = onTheCpu(bundle);
    try (VerifiedNetworks networks = VerifiedNetworks.open(bundle, CudaDevice.settings(), 2, 64)) {
      LatencyProfile profile = networks.profile();
      assertThat(profile.hasBuckets()).isTrue();
      assertThat(profile.maxSize()).isLessThanOrEqualTo(64);
      for (Network lane : networks.networks()) {
        assertThat(lane.padded(1)).isEqualTo(profile.sizes()[0]);
        assertThat(difference(lane, profile.maxSize(), expected)).isLessThanOrEqualTo(1);
      }
    }
  }

  @Test
  void memoryLimit_ofTheVersion_isEnoughForASmallOne() throws IOException {
    RuntimeSettings limited = new RuntimeSettings(Provider.CUDA, 0, 1, false, 2L << 30);
    try (VerifiedNetworks networks = VerifiedNetworks.open(publish(), limited, 2, 64)) {
      assertThat(networks.networks()).hasSize(2);
    }
  }

  @Test
  void operatorWithoutACudaKernel_isRejected() throws IOException {
    ModelProto handmade = ModelProto.parseFrom(TestModels.handmade(TestModels.weights(1, 1)));
    ModelProto.Builder changed = handmade.toBuilder();
    for (int i = 0; i < handmade.getGraph().getNodeCount(); i++) {
      NodeProto node = handmade.getGraph().getNode(i);
      if (node.getOpType().equals("Tanh")) {
        changed.getGraphBuilder().setNode(i, node.toBuilder().setOpType("Atan"));
      }
    }
    Path folder = Files.createDirectories(root.resolve("m/1"));
    Files.write(folder.resolve("model.onnx"), changed.build().toByteArray());
    ModelBundle bundle = new ModelRepository(root).openUnverified("m", 1, OnnxModel::describe);
    assertThatThrownBy(() -> VerifiedNetworks.open(bundle, CudaDevice.settings(), 1, 4).close())
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("m/1")
        .hasMessageContaining("--provider cpu");
  }

  @Test
  void absentDevice_isRejectedInOneLine() {
    assertThatThrownBy(() -> CudaProbe.require(255))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("device 255")
        .message()
        .doesNotContain("\n");
  }

  private ModelBundle publish() throws IOException {
    return TestModels.publish(new ModelRepository(root), "m", TestModels.wideWeights(3, 1));
  }

  private static VerifiedNetworks lanes(ModelBundle bundle, int count) throws IOException {
    BucketLanes lanes = BucketLanes.of(bundle, CudaDevice.settings(), count, BUCKETS);
    VerifiedNetworks networks =
        new VerifiedNetworks(
            lanes.networks(), LatencyProfile.ofBuckets(new int[] {64}, new long[] {1}));
    for (int bucket : BUCKETS) {
      lanes.open(bucket);
    }
    return networks;
  }

  private static byte[] onTheCpu(ModelBundle bundle) throws IOException {
    try (Network cpu = OnnxModel.open(bundle, RuntimeSettings.cpu(1), 64, 1).get(0)) {
      return cpu.generate(Z, Output.PIXELS).bytes();
    }
  }

  /** The largest, in grey levels, of the first n images. */
  private static int difference(Network lane, int n, byte[] expected) {
    byte[] found = lane.generate(Arrays.copyOf(Z, n * LATENT), Output.PIXELS).bytes();
    int largest = 0;
    for (int i = 0; i < found.length; i++) {
      largest = Math.max(largest, Math.abs((found[i] & 0xFF) - (expected[i] & 0xFF)));
    }
    return largest;
  }

  private static FloatBuffer floats(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
  }
}
