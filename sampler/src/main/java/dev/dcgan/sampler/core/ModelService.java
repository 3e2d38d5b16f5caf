package dev.dcgan.sampler.core;

import com.google.protobuf.MessageLite;
import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.sampler.core.ImageService.Reserved;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.sampler.models.NotServedException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Function;

/** What is known of the models, for all protocols. Thread-safe; never blocks. */
public final class ModelService {

  private final ModelRegistry registry;
  private final ResponseBudget budget;

  public ModelService(ModelRegistry registry, ResponseBudget budget) {
    this.registry = registry;
    this.budget = budget;
  }

  /** The status of all models, and what is not served, encoded. */
  public <T extends MessageLite> PendingResponse<Reserved<T>> list(
      RequestContext context, BiFunction<List<ModelStatus>, List<Skipped>, T> encoding) {
    return respond(
        context,
        CompletableFuture.completedFuture(registry.list())
            .thenApply(list -> encoding.apply(list, registry.skipped())));
  }

  /** The status of one model, encoded. */
  public <T extends MessageLite> PendingResponse<Reserved<T>> get(
      RequestContext context, ModelRef model, Function<ModelStatus, T> encoding) {
    try {
      return respond(context, registry.get(model.name(), model.version()).thenApply(encoding));
    } catch (NotServedException e) {
      return PendingResponse.failed(e);
    }
  }

  /** Chooses the version that new requests get; the status after that, encoded. */
  public <T extends MessageLite> PendingResponse<Reserved<T>> setServing(
      RequestContext context, ModelRef model, Function<ModelStatus, T> encoding) {
    try {
      return respond(
          context, registry.setServing(model.name(), model.version()).thenApply(encoding));
    } catch (NotServedException e) {
      return PendingResponse.failed(e);
    }
  }

  /**
   * Whether requests for a version, 0 for any, would be served.
   *
   * @throws RequestException the model is not named well enough to tell
   */
  public boolean isReady(ModelRef model) {
    ModelStatus status;
    try {
      status = registry.get(model.name(), 0).join();
    } catch (NotServedException e) {
      return switch (e.why()) {
        case NOT_FOUND, UNAVAILABLE -> false;
        case AMBIGUOUS, WRONG_STATE, FORBIDDEN -> throw RequestException.of(e);
      };
    }
    return model.version() == 0
        || model.version() == status.serving()
        || status.available().contains(model.version());
  }

  /** Reserves the memory that a response turns out to take. */
  private <T extends MessageLite> PendingResponse<Reserved<T>> respond(
      RequestContext context, CompletableFuture<T> made) {
    PendingResponse<Reserved<T>> pending = new PendingResponse<>();
    var unused =
        made.thenApply(
                response ->
                    new Reserved<>(
                        response,
                        budget.reserve(context.connection(), response.getSerializedSize())))
            .whenComplete(pending::complete);
    return pending;
  }
}
