package dev.dcgan.sampler.model;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.batch.BatchTimes;
import dev.dcgan.sampler.batch.Network;
import dev.dcgan.sampler.batch.Output;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A version's networks, which may run side by side: found to make the images that its manifest
 * promises, warm, and measured.
 */
public record VerifiedNetworks(List<Network> networks, BatchTimes times) implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(VerifiedNetworks.class);

  /**
   * Opens a version, verifies it by its golden vectors and measures it.
   *
   * @param sessions that run side by side, 1 or more
   * @param maxBatch images in the largest batch
   * @throws dev.dcgan.model.InvalidModelException it is not what its manifest says
   */
  public static VerifiedNetworks open(
      ModelBundle bundle, OnnxGenerator.Settings settings, int sessions, int maxBatch)
      throws IOException {
    List<Network> networks = OnnxGenerator.open(bundle, settings, maxBatch, sessions);
    try {
      return new VerifiedNetworks(networks, warm(bundle, settings.provider(), networks, maxBatch));
    } catch (IOException | RuntimeException | Error e) {
      OnnxGenerator.closeAll(networks).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** Closes all, also where one fails. None may be running. */
  @Override
  public void close() {
    Optional<RuntimeException> failure = OnnxGenerator.closeAll(networks);
    if (failure.isPresent()) {
      throw failure.get();
    }
  }

  /** Every session runs what it will meet; a GPU tunes itself to each size of batch. */
  private static BatchTimes warm(
      ModelBundle bundle, Provider provider, List<Network> networks, int maxBatch)
      throws IOException {
    try {
      GoldenCheck.verify(bundle, networks.get(0));
      boolean all = provider == Provider.CUDA;
      BatchTimes times = BatchTimes.measure(networks.get(0), maxBatch, all, System::nanoTime);
      for (Network network : networks.subList(1, networks.size())) {
        if (all) {
          var unused = BatchTimes.measure(network, maxBatch, true, System::nanoTime);
        } else {
          network.generate(new float[times.best() * network.latentSize()], Output.PIXELS);
        }
      }
      log.info("{} on {}: {} (batches of {})", bundle, provider, times, times.best());
      return times;
    } catch (IllegalStateException e) {
      throw OnnxGenerator.failure(bundle.folder(), e);
    }
  }
}
