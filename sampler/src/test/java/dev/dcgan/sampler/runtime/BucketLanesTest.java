package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.scheduling.BatchListener;
import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.BucketSelection;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.Priority;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The buckets of a GPU, run on the CPU. */
class BucketLanesTest {

  private static final int LATENT = TestModels.LATENT;
  private static final int MAX_BATCH = 16;

  @TempDir private Path root;
  private final List<RecordedSession> opened = Collections.synchronizedList(new ArrayList<>());

  @Test
  void mixedSizes_giveTheImagesOfSingleRuns() throws IOException {
    ModelBundle bundle = publish();
    float[] z = latents(MAX_BATCH);
    try (Network single = single(bundle);
        VerifiedNetworks lanes = lanes(bundle, 1, 2, 4, 16)) {
      Network lane = lanes.networks().get(0);
      for (Output output : Output.values()) {
        byte[] expected = images(single, z, output);
        for (int n : new int[] {1, 16, 3, 1, 2, 9, 16, 4, 5}) {
          byte[] found = lane.generate(Arrays.copyOf(z, n * LATENT), output).bytes();
          assertThat(found)
              .as("%s, %d images", output, n)
              .isEqualTo(Arrays.copyOf(expected, n * lane.imageBytes(output)));
        }
      }
    }
    assertRunsAtBucketSizes();
  }

  @Test
  void modelWithoutPixels_hasTheSameImages() throws IOException {
    Path folder = Files.createDirectories(root.resolve("m/1"));
    Files.write(folder.resolve("model.onnx"), TestModels.handmade(TestModels.weights(3, 1)));
    ModelBundle bundle = new ModelRepository(root).openUnverified("m", 1, OnnxModel::describe);
    float[] z = latents(3);
    try (Network single = single(bundle);
        VerifiedNetworks lanes = lanes(bundle, 1, 4)) {
      Network lane = lanes.networks().get(0);
      assertThat(lane.generate(z, Output.PIXELS).bytes())
          .isEqualTo(images(single, z, Output.PIXELS));
    }
  }

  @Test
  void padded_isTheNextBucket_upToTheLargest() throws IOException {
    try (VerifiedNetworks lanes = lanes(publish(), 1, 2, 16)) {
      Network lane = lanes.networks().get(0);
      assertThat(lane.padded(1)).isEqualTo(2);
      assertThat(lane.padded(2)).isEqualTo(2);
      assertThat(lane.padded(3)).isEqualTo(16);
      assertThatThrownBy(() -> lane.generate(latents(17), Output.PIXELS))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("17");
    }
  }

  @Test
  void everyLane_hasItsOwnSessions_andClosesThem() throws IOException {
    VerifiedNetworks lanes = lanes(publish(), 2, 2, 16);
    assertThat(opened).extracting(session -> session.bucket).containsExactly(2, 2, 16, 16);
    lanes.networks().get(0).close();
    assertThat(opened).filteredOn(session -> session.closed).hasSize(2);
    lanes.networks().get(1).close();
    assertThat(opened).allMatch(session -> session.closed);
  }

  @Test
  void retain_closesTheOtherBuckets_ofEveryLane() throws IOException {
    ModelBundle bundle = publish();
    BucketLanes lanes =
        new BucketLanes(bundle, RecordedSession.opener(bundle, opened), 2, MAX_BATCH);
    try (VerifiedNetworks networks = networks(lanes)) {
      lanes.open(2);
      lanes.open(16);
      lanes.retain(new TreeSet<>(List.of(16)));
      assertThat(opened).filteredOn(session -> session.closed).hasSize(2);
      assertThat(opened).filteredOn(session -> session.closed).allMatch(s -> s.bucket == 2);
      assertThat(networks.networks()).allMatch(lane -> lane.padded(1) == 16);
    }
    assertThat(opened).allMatch(session -> session.closed);
  }

  @Test
  void open_whenALaneFails_leavesTheOthersToClose() throws IOException {
    ModelBundle bundle = publish();
    BucketLanes.Opener opener = RecordedSession.opener(bundle, opened);
    BucketLanes lanes =
        new BucketLanes(
            bundle,
            bucket -> {
              if (opened.size() == 1) {
                throw new IOException("no memory left");
              }
              return opener.open(bucket);
            },
            2,
            MAX_BATCH);
    try (VerifiedNetworks networks = networks(lanes)) {
      assertThatThrownBy(() -> lanes.open(2)).hasMessage("no memory left");
      assertThat(networks.networks()).hasSize(2);
    }
    assertThat(opened).hasSize(1).allMatch(session -> session.closed);
  }

  @Test
  void select_measuresRealSessions() throws IOException {
    ModelBundle bundle = publish();
    BucketLanes lanes =
        new BucketLanes(bundle, RecordedSession.opener(bundle, opened), 2, MAX_BATCH);
    try (VerifiedNetworks networks = networks(lanes)) {
      LatencyProfile profile =
          BucketSelection.select(lanes, BucketSelection.candidates(MAX_BATCH), System::nanoTime);
      assertThat(opened)
          .filteredOn(session -> !session.closed)
          .extracting(session -> session.bucket)
          .containsExactlyInAnyOrderElementsOf(twice(profile.sizes()));
      assertThat(networks.networks()).allMatch(lane -> lane.padded(1) == profile.sizes()[0]);
    }
    assertRunsAtBucketSizes();
  }

  @Test
  void scheduler_cutsBatches_andReportsPadding() throws Exception {
    List<List<Integer>> executed = Collections.synchronizedList(new ArrayList<>());
    ModelBundle bundle = publish();
    VerifiedNetworks lanes = lanes(bundle, 1, 4, 16);
    float[] z = latents(21);
    BatchScheduler scheduler =
        BatchScheduler.start(
            bundle.name(),
            lanes.networks(),
            LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 3000}),
            new BatchingPolicy(MAX_BATCH, Duration.ZERO, 100),
            listener(executed),
            RunGuard.unwatched(RuntimeFailure::of),
            System::nanoTime);
    CompletableFuture<Images> future =
        scheduler.submit(
            scheduler.admit("caller", 21, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE),
            z,
            Network.NO_LABELS,
            Output.PIXELS,
            Runnable::run);
    Images images = future.get(30, TimeUnit.SECONDS);
    scheduler.close();
    assertThat(scheduler.awaitClosed(Duration.ofSeconds(30))).isTrue();
    assertThat(executed).containsExactly(List.of(16, 16), List.of(4, 4), List.of(1, 4));
    assertThat(opened)
        .filteredOn(s -> s.bucket == 4)
        .allSatisfy(s -> assertThat(s.runs).hasSize(2));
    assertRunsAtBucketSizes();
    try (Network single = single(bundle)) {
      assertThat(images.bytes()).isEqualTo(images(single, z, Output.PIXELS));
    }
  }

  @Test
  void openFixed_runsEveryBatchAtThatSize() throws IOException {
    ModelBundle bundle = publish();
    try (VerifiedNetworks fixed = VerifiedNetworks.openFixed(bundle, RuntimeSettings.cpu(1), 2, 8);
        Network single = single(bundle)) {
      assertThat(fixed.profile().sizes()).containsExactly(8);
      float[] z = latents(5);
      for (Network lane : fixed.networks()) {
        assertThat(lane.padded(1)).isEqualTo(8);
        assertThat(lane.generate(z, Output.PIXELS).bytes())
            .isEqualTo(images(single, z, Output.PIXELS));
      }
    }
  }

  private ModelBundle publish() throws IOException {
    return TestModels.publish(new ModelRepository(root), "m", 3, 1);
  }

  private VerifiedNetworks lanes(ModelBundle bundle, int count, int... buckets) throws IOException {
    BucketLanes lanes =
        new BucketLanes(bundle, RecordedSession.opener(bundle, opened), count, MAX_BATCH);
    for (int bucket : buckets) {
      lanes.open(bucket);
    }
    return networks(lanes);
  }

  private static VerifiedNetworks networks(BucketLanes lanes) {
    return new VerifiedNetworks(
        lanes.networks(), LatencyProfile.ofBuckets(new int[] {1}, new long[] {1}));
  }

  private void assertRunsAtBucketSizes() {
    assertThat(opened)
        .isNotEmpty()
        .allSatisfy(s -> assertThat(s.runs).isNotEmpty().containsOnly(s.bucket));
  }

  private static List<Integer> twice(int[] sizes) {
    return Arrays.stream(sizes).boxed().flatMap(n -> List.of(n, n).stream()).toList();
  }

  private static Network single(ModelBundle bundle) throws IOException {
    return OnnxModel.open(bundle, RuntimeSettings.cpu(1), 1, 1).get(0);
  }

  /** Runs each image alone. */
  private static byte[] images(Network network, float[] z, Output output) {
    int size = network.imageBytes(output);
    byte[] images = new byte[z.length / LATENT * size];
    for (int i = 0; i < z.length / LATENT; i++) {
      float[] one = Arrays.copyOfRange(z, i * LATENT, (i + 1) * LATENT);
      System.arraycopy(network.generate(one, output).bytes(), 0, images, i * size, size);
    }
    return images;
  }

  private static float[] latents(int count) {
    return Latents.of(5, 0, count * LATENT);
  }

  private static BatchListener listener(List<List<Integer>> executed) {
    return new BatchListener() {
      @Override
      public void queueChanged(int images) {}

      @Override
      public void waited(long nanos) {}

      @Override
      public void executed(int images, int padded, long nanos) {
        executed.add(List.of(images, padded));
      }

      @Override
      public void failed(Failure.Kind kind) {}
    };
  }
}
