package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchSlice;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Golden vectors against lanes of which one bucket may be wrong. */
class GoldenCheckTest {

  @TempDir private Path root;

  @Test
  void verify_runsEveryRowOfTheBucket_andPadded() throws IOException {
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
          .hasMessageContaining("grey levels off")
          .hasMessageContaining("image 16 of 16");
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

  private ModelBundle publish() throws IOException {
    return TestModels.publish(new ModelRepository(root), "m", 1, 1);
  }

  /** Right images, but the last one of a run is wrong where it is told so. */
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
