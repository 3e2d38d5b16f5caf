package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import java.util.concurrent.CompletableFuture;

/** Where the versions are that are not in memory. Thread-safe; no call blocks. */
public interface VersionSource {

  /**
   * Fetches a version; ends in {@link ModelRegistry#fetched} or {@link ModelRegistry#notFetched}, on another
   * thread or this one.
   */
  void fetch(String model, long version);

  /** Opens a version, to describe it; fails with {@link NotServedException}. */
  CompletableFuture<ModelBundle> open(String model, long version);

  /**
   * Puts a version in service and pins it there; 0 unpins, and puts the newest valid one in
   * service. The version in service then; fails with {@link NotServedException}, and nothing has
   * changed then.
   */
  CompletableFuture<Long> setServing(String model, long version);
}
