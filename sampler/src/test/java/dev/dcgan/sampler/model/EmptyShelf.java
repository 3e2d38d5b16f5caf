package dev.dcgan.sampler.model;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.model.NotServedException.Why;
import java.util.concurrent.CompletableFuture;

/** Has no versions: all that is served is in memory. */
public final class EmptyShelf implements Shelf {

  /** The models of tests that put them there themselves. */
  public static Models models() {
    return new Models(1, 0, 1, new EmptyShelf());
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
