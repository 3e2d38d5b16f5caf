package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.ConditionalModels;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GoldenCheckTest {

  @TempDir private Path root;

  @Test
  void verify_runsFullAndPaddedBatches() throws IOException {
    ModelBundle bundle = publish();
    try (Lane lane = new Lane(bundle, 1, 4, 16)) {
      for (int bucket : new int[] {1, 4, 16}) {
        GoldenCheck.verify(bundle, lane, bucket);
      }
      int golden = bundle.manifest().getGoldenCount();
      assertThat(lane.runs).filteredOn(n -> n == 1).hasSize(golden);
      assertThat(lane.runs).as("full and padded").contains(4, 2, 16, 5);
    }
  }

  @Test
  void verify_whenOneBucketIsWrong_namesTheImage() throws IOException {
    ModelBundle bundle = publish();
    try (Lane lane = new Lane(bundle, 1, 4, 16)) {
      lane.wrongBucket = 16;
      GoldenCheck.verify(bundle, lane, 1);
      GoldenCheck.verify(bundle, lane, 4);
      assertThatThrownBy(() -> GoldenCheck.verify(bundle, lane, 16))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("grey levels", "image 16 of 16");
    }
  }

  @Test
  void verify_whenOnlyAPaddedBatchIsWrong_catchesIt() throws IOException {
    ModelBundle bundle = publish();
    try (Lane lane = new Lane(bundle, 1, 4, 16)) {
      lane.wrongBucket = 16;
      lane.wrongOnlyIfPadded = true;
      assertThatThrownBy(() -> GoldenCheck.verify(bundle, lane, 16))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContaining("image 5 of 5");
    }
  }

  @Test
  void verify_acceptsImagesWithinTheTolerance() throws IOException {
    GoldenVector off = shifted(golden(), 1);
    ModelBundle bundle = publish(m -> m.setGolden(0, off));
    try (Network network = open(bundle)) {
      GoldenCheck.verify(bundle, network, 1);
    }
  }

  @Test
  void verify_whenAnImageDiffersByMore_rejectsTheVersion() throws IOException {
    GoldenVector off = shifted(golden(), 2);
    ModelBundle bundle = publish(m -> m.setGolden(0, off));
    try (Network network = open(bundle)) {
      assertThatThrownBy(() -> GoldenCheck.verify(bundle, network, 1))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("seed 0, index 0", "2 grey levels", "at most 1");
    }
  }

  @Test
  void verify_whenTheManifestAllowsMore_rejectsTheVersion() throws IOException {
    ModelBundle bundle = publish(m -> m.setPixelTolerance(255));
    try (Network network = open(bundle)) {
      assertThatThrownBy(() -> GoldenCheck.verify(bundle, network, 1))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("255 grey levels", "expected at most 1");
    }
  }

  @Test
  void verify_ofAConditionalModel_usesTheLabels() throws IOException {
    ModelRepository repository = new ModelRepository(root);
    ModelBundle pets = ConditionalModels.publish(repository, "pets", 1);
    try (Network network = open(pets)) {
      for (int batch : new int[] {1, 2}) {
        GoldenCheck.verify(pets, network, batch);
      }
    }
    ModelManifest.Builder manifest = ConditionalModels.manifest("pets", 1).toBuilder();
    GoldenVector last = manifest.getGolden(5);
    manifest.setGolden(
        5,
        last.toBuilder()
            .setPixels(
                ByteString.copyFrom(
                    ConditionalModels.images(
                        1,
                        Latents.of(last.getSeed(), last.getIndex(), ConditionalModels.LATENT),
                        (last.getLabel() + 1) % 3))));
    ModelBundle wrong = repository.publish(manifest.build(), ConditionalModels.onnx(1));
    try (Network network = open(wrong)) {
      assertThatThrownBy(() -> GoldenCheck.verify(wrong, network, 1))
          .isInstanceOf(InvalidModelException.class)
          .hasMessageContaining("seed 9, index 5");
    }
  }

  private ModelBundle publish(Consumer<ModelManifest.Builder> change) throws IOException {
    GeneratorWeights weights = TestModels.weights(1, 1);
    ModelManifest.Builder manifest =
        TestModels.manifest("m", weights, TestModels.golden(weights)).toBuilder();
    change.accept(manifest);
    return new ModelRepository(root).publish(manifest.build(), TestModels.onnx(weights));
  }

  private static GoldenVector golden() throws IOException {
    return TestModels.golden(TestModels.weights(1, 1)).get(0);
  }

  private static GoldenVector shifted(GoldenVector golden, int by) {
    byte[] pixels = golden.getPixels().toByteArray();
    pixels[5] += (byte) ((pixels[5] & 0xFF) < 128 ? by : -by);
    return golden.toBuilder().setPixels(ByteString.copyFrom(pixels)).build();
  }

  private static Network open(ModelBundle bundle) throws IOException {
    return OnnxModel.open(bundle, RuntimeSettings.cpu(1), 2, 1).get(0);
  }

  private ModelBundle publish() throws IOException {
    return TestModels.publish(new ModelRepository(root), "m", 1, 1);
  }

  /** A lane that may make the last image of a bucket's runs wrong. */
  private static final class Lane implements Network {

    private final Network network;
    private final NavigableSet<Integer> buckets = new TreeSet<>();
    private final List<Integer> runs = new ArrayList<>();
    private int wrongBucket;
    private boolean wrongOnlyIfPadded;

    Lane(ModelBundle bundle, Integer... buckets) throws IOException {
      this.network = OnnxModel.open(bundle, RuntimeSettings.cpu(1), 16, 1).get(0);
      this.buckets.addAll(Arrays.asList(buckets));
    }

    @Override
    public int latentSize() {
      return network.latentSize();
    }

    @Override
    public int imageBytes(Output output) {
      return network.imageBytes(output);
    }

    @Override
    public int padded(int n) {
      return buckets.higher(n - 1);
    }

    @Override
    public void run(List<BatchSlice> batch) {
      BatchSlice all = batch.get(0);
      FloatBuffer z = FloatBuffer.allocate(all.count() * latentSize());
      all.putLatents(z);
      byte[] images = network.generate(z.array(), Output.PIXELS).bytes();
      boolean isPadded = padded(all.count()) != all.count();
      if (padded(all.count()) == wrongBucket && (isPadded || !wrongOnlyIfPadded)) {
        images[images.length - 1] ^= (byte) 0x80;
      }
      runs.add(all.count());
      all.takeImages(ByteBuffer.wrap(images));
    }

    @Override
    public void close() {
      network.close();
    }
  }
}
