package dev.dcgan.sampler.models;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.BatchListener;
import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One version, ready to serve, with a batcher of its own.
 *
 * <p>Thread-safe. Counts its users: the {@link ModelRegistry} that have it are one, every request and
 * stream another. When the last has released it the batcher finishes what it has and the network is
 * closed; that does not block the one who released it.
 */
public final class ServedVersion {

  private final ModelManifest manifest;
  private final boolean unverified;
  private final ImageShape shape;
  private final int latentSize;
  private final Provider provider;
  private final BatchScheduler batcher;

  // Mutable state
  private final AtomicInteger users = new AtomicInteger(1);

  private ServedVersion(ModelBundle bundle, Provider provider, BatchScheduler batcher) {
    this.manifest = bundle.manifest();
    this.unverified = bundle.unverified();
    this.shape = bundle.shape();
    this.latentSize = bundle.latentSize();
    this.provider = provider;
    this.batcher = batcher;
  }

  /**
   * Opens a version, verifies it by its golden vectors, measures it and makes it ready; the caller
   * is its first user.
   *
   * @param sessions that run side by side, 1 or more
   * @param guard runs its batches
   * @throws dev.dcgan.model.InvalidModelException it is not what its manifest says
   */
  public static ServedVersion open(
      ModelBundle bundle,
      OnnxModel.Settings settings,
      int sessions,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard)
      throws IOException {
    VerifiedNetworks verified =
        VerifiedNetworks.open(bundle, settings, sessions, policy.maxBatch());
    try {
      return start(
          bundle,
          settings.provider(),
          verified.networks(),
          verified.times(),
          policy,
          listener,
          guard);
    } catch (RuntimeException | Error e) {
      OnnxModel.closeAll(verified.networks()).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** As below, with a guard of its own. */
  public static ServedVersion start(
      ModelBundle bundle,
      Provider provider,
      List<Network> networks,
      LatencyProfile times,
      BatchingPolicy policy,
      BatchListener listener) {
    return start(
        bundle,
        provider,
        networks,
        times,
        policy,
        listener,
        RunGuard.unwatched(RuntimeFailure::of));
  }

  /**
   * Makes a version ready whose network is known to be good; the caller is its first user.
   *
   * @param guard runs its batches
   */
  public static ServedVersion start(
      ModelBundle bundle,
      Provider provider,
      List<Network> networks,
      LatencyProfile times,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard) {
    BatchScheduler batcher =
        BatchScheduler.start(
            bundle.toString(), networks, times, policy, listener, guard, System::nanoTime);
    return new ServedVersion(bundle, provider, batcher);
  }

  public ModelManifest manifest() {
    return manifest;
  }

  public ModelVersion version() {
    return manifest.getModel();
  }

  /** Whether it has no manifest on disk. */
  public boolean isUnverified() {
    return unverified;
  }

  public ImageShape shape() {
    return shape;
  }

  public int latentSize() {
    return latentSize;
  }

  public Provider provider() {
    return provider;
  }

  public BatchScheduler scheduler() {
    return batcher;
  }

  /** Ends one use. */
  public void release() {
    if (users.decrementAndGet() == 0) {
      batcher.close();
    }
  }

  /** Name and version, as a person reads them: {@code mnist/3}. */
  @Override
  public String toString() {
    return version().getName() + "/" + version().getVersion();
  }

  /** Begins a use, unless the last one has ended. */
  boolean retain() {
    return users.getAndUpdate(n -> n == 0 ? 0 : n + 1) > 0;
  }

  /** Whether those who offer it are its only user. */
  boolean isIdle() {
    return users.get() == 1;
  }

  boolean isClosed() {
    return batcher.isClosed();
  }

  boolean awaitClosed(Duration limit) throws InterruptedException {
    return batcher.awaitClosed(limit);
  }
}
