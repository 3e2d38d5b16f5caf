package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.runtime.BucketLanes;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BucketSelection;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A version's networks, which may run side by side: found to make the images that its manifest
 * promises, warm, and measured.
 */
public record VerifiedNetworks(List<Network> networks, LatencyProfile times) implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(VerifiedNetworks.class);

  /**
   * Opens a version, verifies it by its golden vectors and measures it.
   *
   * <p>On the CPU all lanes share a session, which runs batches of any size. On a GPU each lane has
   * a session for each of a few batch sizes, those that were found to pay.
   *
   * @param sessions lanes that run side by side, 1 or more
   * @param maxBatch images in the largest batch
   * @throws dev.dcgan.model.InvalidModelException it is not what its manifest says
   */
  public static VerifiedNetworks open(
      ModelBundle bundle, OnnxModel.Settings settings, int sessions, int maxBatch)
      throws IOException {
    return settings.provider() == Provider.CUDA
        ? openBuckets(bundle, settings, sessions, BucketSelection.candidates(maxBatch))
        : openShared(bundle, settings, sessions, maxBatch);
  }

  /**
   * Opens a version as {@link #open} does, but every run has exactly {@code batch} images, padded
   * where there are fewer: so the images do not depend on what was measured.
   */
  public static VerifiedNetworks openFixed(
      ModelBundle bundle, OnnxModel.Settings settings, int sessions, int batch)
      throws IOException {
    return openBuckets(bundle, settings, sessions, new int[] {batch});
  }

  /** Closes all, also where one fails. None may be running. */
  @Override
  public void close() {
    Optional<RuntimeException> failure = OnnxModel.closeAll(networks);
    if (failure.isPresent()) {
      throw failure.get();
    }
  }

  private static VerifiedNetworks openShared(
      ModelBundle bundle, OnnxModel.Settings settings, int sessions, int maxBatch)
      throws IOException {
    return verified(
        bundle,
        settings,
        OnnxModel.open(bundle, settings, maxBatch, sessions),
        networks -> {
          GoldenCheck.verify(bundle, networks.get(0), 1);
          LatencyProfile times = LatencyProfile.measure(networks.get(0), maxBatch, System::nanoTime);
          for (Network network : networks.subList(1, networks.size())) {
            network.generate(new float[times.best() * network.latentSize()], Output.PIXELS);
          }
          return times;
        });
  }

  private static VerifiedNetworks openBuckets(
      ModelBundle bundle, OnnxModel.Settings settings, int sessions, int[] candidates)
      throws IOException {
    BucketLanes lanes = BucketLanes.of(bundle, settings, sessions, candidates);
    return verified(
        bundle,
        settings,
        lanes.networks(),
        networks -> {
          LatencyProfile times = BucketSelection.select(lanes, candidates, System::nanoTime);
          for (Network network : networks) {
            for (int bucket : times.sizes()) {
              GoldenCheck.verify(bundle, network, bucket);
            }
          }
          return times;
        });
  }

  private interface Warmup {
    LatencyProfile measure(List<Network> networks) throws IOException;
  }

  /** Closes the networks where they prove wrong. */
  private static VerifiedNetworks verified(
      ModelBundle bundle, OnnxModel.Settings settings, List<Network> networks, Warmup warmup)
      throws IOException {
    try {
      LatencyProfile times = measured(bundle, networks, warmup);
      log.info("{} on {}: {} (batches of {})", bundle, settings.provider(), times, times.best());
      return new VerifiedNetworks(networks, times);
    } catch (IOException | RuntimeException | Error e) {
      OnnxModel.closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  private static LatencyProfile measured(ModelBundle bundle, List<Network> networks, Warmup warmup)
      throws IOException {
    try {
      return warmup.measure(networks);
    } catch (IllegalStateException e) {
      throw OnnxModel.failure(bundle.folder(), e);
    }
  }
}
