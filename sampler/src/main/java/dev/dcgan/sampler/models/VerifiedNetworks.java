package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.runtime.BucketLanes;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
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
 * A version's networks, one per lane, which may run concurrently: verified by the golden vectors,
 * warm, and profiled.
 */
public record VerifiedNetworks(List<Network> networks, LatencyProfile profile)
    implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(VerifiedNetworks.class);

  /**
   * Opens a version, verifies it by its golden vectors and profiles it.
   *
   * <p>On the CPU all lanes share a session, which runs batches of any size. On a GPU each lane has
   * a session for each of a few batch sizes, selected by measurement.
   *
   * @param lanes that run concurrently, 1 or more
   * @param maxBatch images in the largest batch
   * @throws dev.dcgan.model.InvalidModelException it contradicts its manifest
   */
  public static VerifiedNetworks open(
      ModelBundle bundle, RuntimeSettings settings, int lanes, int maxBatch) throws IOException {
    return settings.provider() == Provider.CUDA
        ? openBuckets(bundle, settings, lanes, BucketSelection.candidates(maxBatch))
        : openShared(bundle, settings, lanes, maxBatch);
  }

  /**
   * Opens a version as {@link #open} does, but pads every run to exactly {@code batch} images, so
   * that the images do not depend on measurements.
   */
  public static VerifiedNetworks openFixed(
      ModelBundle bundle, RuntimeSettings settings, int lanes, int batch) throws IOException {
    return openBuckets(bundle, settings, lanes, new int[] {batch});
  }

  /** Closes all even if one fails. None may be running. */
  @Override
  public void close() {
    Optional<RuntimeException> failure = OnnxModel.closeAll(networks);
    if (failure.isPresent()) {
      throw failure.get();
    }
  }

  private static VerifiedNetworks openShared(
      ModelBundle bundle, RuntimeSettings settings, int lanes, int maxBatch) throws IOException {
    return verified(
        bundle,
        settings,
        OnnxModel.open(bundle, settings, maxBatch, lanes),
        networks -> {
          GoldenCheck.verify(bundle, networks.get(0), 1);
          LatencyProfile profile =
              LatencyProfile.measure(networks.get(0), maxBatch, System::nanoTime);
          for (Network network : networks.subList(1, networks.size())) {
            float[] latents = new float[profile.optimalBatchSize() * network.latentSize()];
            network.generate(latents, Output.PIXELS);
          }
          return profile;
        });
  }

  private static VerifiedNetworks openBuckets(
      ModelBundle bundle, RuntimeSettings settings, int lanes, int[] candidates)
      throws IOException {
    BucketLanes opened = BucketLanes.of(bundle, settings, lanes, candidates);
    return verified(
        bundle,
        settings,
        opened.networks(),
        networks -> {
          LatencyProfile profile = BucketSelection.select(opened, candidates, System::nanoTime);
          for (Network network : networks) {
            for (int bucket : profile.sizes()) {
              GoldenCheck.verify(bundle, network, bucket);
            }
          }
          return profile;
        });
  }

  private interface Warmup {
    LatencyProfile verifyAndProfile(List<Network> networks) throws IOException;
  }

  /** Closes the networks if they prove invalid. */
  private static VerifiedNetworks verified(
      ModelBundle bundle, RuntimeSettings settings, List<Network> networks, Warmup warmup)
      throws IOException {
    try {
      LatencyProfile profile = profile(bundle, networks, warmup);
      log.info(
          "verified {} on {}: optimal batch size {}, latency {}",
          bundle,
          settings.provider(),
          profile.optimalBatchSize(),
          profile);
      return new VerifiedNetworks(networks, profile);
    } catch (IOException | RuntimeException | Error e) {
      OnnxModel.closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  private static LatencyProfile profile(ModelBundle bundle, List<Network> networks, Warmup warmup)
      throws IOException {
    try {
      return warmup.verifyAndProfile(networks);
    } catch (IllegalStateException e) {
      throw RuntimeFailure.ofRun(bundle.folder(), e);
    }
  }
}
