package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.models.NotServedException.Why;
import java.util.concurrent.CompletableFuture;

/** A source without versions: all served versions are in memory. */
public final class EmptyVersionSource implements VersionSource {

  /** A registry for tests that add the versions themselves. */
  public static ModelRegistry models() {
    return new ModelRegistry(1, 0, 1, new EmptyVersionSource());
  }

  @Override
  public void fetch(String model, long version) {
    throw new AssertionError("nothing is available that could be fetched");
  }

  @Override
  public CompletableFuture<ModelBundle> open(String model, long version) {
    throw new AssertionError("nothing is available that could be opened");
  }

  @Override
  public CompletableFuture<Long> setServing(String model, long version) {
    return CompletableFuture.failedFuture(
        new NotServedException(Why.FORBIDDEN, "an empty shelf has no versions"));
  }
}
