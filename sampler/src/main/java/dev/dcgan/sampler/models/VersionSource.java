package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import java.util.concurrent.CompletableFuture;

/** Provides versions that are not in memory. Thread-safe; no call blocks. */
interface VersionSource {

  /**
   * Loads a version. The end is reported to the {@link ModelRegistry}, as fetched or as failed, on
   * another thread or on this one.
   */
  void fetch(String model, long version);

  /** Opens a version in order to describe it; fails with {@link NotServedException}. */
  CompletableFuture<ModelBundle> open(String model, long version);

  /**
   * Puts a version in service and pins it. 0 removes the pin and puts the newest valid version in
   * service.
   *
   * @return the version in service afterwards; on {@link NotServedException} nothing has changed
   */
  CompletableFuture<Long> setServing(String model, long version);
}
