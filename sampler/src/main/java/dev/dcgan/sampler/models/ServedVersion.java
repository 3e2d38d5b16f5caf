package dev.dcgan.sampler.models;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
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
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One version, ready to serve, with its own scheduler.
 *
 * <p>Thread-safe. Counts its users: the {@link ModelRegistry} that holds it is one, every request
 * and stream another. When the last user has released it, the scheduler finishes its queue and
 * closes the networks; release itself does not block.
 */
public final class ServedVersion {

  private final ModelManifest manifest;
  private final boolean unverified;
  private final ImageShape shape;
  private final int latentSize;
  private final Optional<ImageClasses> classes;
  private final Provider provider;
  private final BatchScheduler scheduler;

  // Mutable state
  private final AtomicInteger users = new AtomicInteger(1);

  private ServedVersion(ModelBundle bundle, Provider provider, BatchScheduler scheduler) {
    this.manifest = bundle.manifest();
    this.unverified = bundle.unverified();
    this.shape = bundle.shape();
    this.latentSize = bundle.latentSize();
    this.classes = bundle.classes();
    this.provider = provider;
    this.scheduler = scheduler;
  }

  /**
   * Opens a version, verifies it by its golden vectors, profiles it and makes it ready; the caller
   * is its first user.
   *
   * @param sessions that run concurrently, 1 or more
   * @param guard runs its batches
   * @throws dev.dcgan.model.InvalidModelException it contradicts its manifest
   */
  public static ServedVersion open(
      ModelBundle bundle,
      RuntimeSettings settings,
      int sessions,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard)
      throws IOException {
    int maxBatch = OnnxModel.largestBatch(bundle, settings, policy.maxBatch());
    VerifiedNetworks verified = VerifiedNetworks.open(bundle, settings, sessions, maxBatch);
    try {
      return start(
          bundle,
          settings.provider(),
          verified.networks(),
          verified.profile(),
          new BatchingPolicy(maxBatch, policy.maxDelay(), policy.maxQueueImages()),
          listener,
          guard);
    } catch (RuntimeException | Error e) {
      OnnxModel.closeAll(verified.networks()).ifPresent(e::addSuppressed);
      throw e;
    }
  }

  /** As the method below, with its own guard. */
  public static ServedVersion start(
      ModelBundle bundle,
      Provider provider,
      List<Network> networks,
      LatencyProfile profile,
      BatchingPolicy policy,
      BatchListener listener) {
    return start(
        bundle,
        provider,
        networks,
        profile,
        policy,
        listener,
        RunGuard.unwatched(RuntimeFailure::of));
  }

  /**
   * Makes a version ready whose networks are verified; the caller is its first user.
   *
   * @param guard runs its batches
   */
  public static ServedVersion start(
      ModelBundle bundle,
      Provider provider,
      List<Network> networks,
      LatencyProfile profile,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard) {
    BatchScheduler scheduler =
        BatchScheduler.start(
            bundle.toString(), networks, profile, policy, listener, guard, System::nanoTime);
    return new ServedVersion(bundle, provider, scheduler);
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

  /** The classes of a conditional model; empty: the model is not conditional. */
  public Optional<ImageClasses> classes() {
    return classes;
  }

  public Provider provider() {
    return provider;
  }

  public BatchScheduler scheduler() {
    return scheduler;
  }

  /** Ends one use. */
  public void release() {
    if (users.decrementAndGet() == 0) {
      scheduler.close();
    }
  }

  /** Model and version: {@code mnist28/3}. */
  @Override
  public String toString() {
    return version().getName() + "/" + version().getVersion();
  }

  /** Begins a use; false: the last use has ended. */
  boolean retain() {
    return users.getAndUpdate(n -> n == 0 ? 0 : n + 1) > 0;
  }

  /** Whether the registry is its only user. */
  boolean isIdle() {
    return users.get() == 1;
  }

  boolean isClosed() {
    return scheduler.isClosed();
  }

  boolean awaitClosed(Duration limit) throws InterruptedException {
    return scheduler.awaitClosed(limit);
  }
}
