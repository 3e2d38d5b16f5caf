package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.QueuedRequest;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsResponse;
import io.opentelemetry.context.Context;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Makes images for requests of all protocols, which only translate. Thread-safe; never blocks.
 *
 * <p>A request acquires a version, reserves memory for its response, is admitted to the version's
 * queue, has its latents made, is submitted, and is encoded. Requests for few images do all up to
 * the submission on the thread that calls; those whose latents take longer to make than a change of
 * threads, and those whose version must be loaded first, do it on a worker. Inference threads only
 * run the network. PNGs are compressed on a worker; what needs no compression is encoded where the
 * response is sent from.
 */
public final class ImageService {

  // To make them takes about as long as a change of threads.
  private static final int FEW_LATENT_VALUES = 32 * 64;

  private final ModelRegistry registry;
  private final ResponseBudget budget;
  private final Executor workers;
  private final CallerQuota quota;

  /** A service without a limit for each caller. */
  public ImageService(ModelRegistry registry, ResponseBudget budget, Executor workers) {
    this(registry, budget, workers, CallerQuota.UNLIMITED);
  }

  /**
   * A service.
   *
   * @param quota the images of each caller; a request that it refuses fails with OVERLOADED, and a
   *     stream that has begun is slowed down
   */
  public ImageService(
      ModelRegistry registry, ResponseBudget budget, Executor workers, CallerQuota quota) {
    this.registry = registry;
    this.budget = budget;
    this.workers = workers;
    this.quota = quota;
  }

  /** Parses a request once its version is known, on which depends what is valid. */
  @FunctionalInterface
  public interface RequestParser {
    /**
     * Parses the request.
     *
     * @throws RequestException INVALID
     */
    ImageRequest parse(ServedVersion version);
  }

  /** Does something with a version, and releases it when that is done, unless it throws. */
  private interface Step<T> {
    PendingResponse<T> start(ServedVersion version) throws QueueFullException, TooLateException;
  }

  /**
   * A response and the memory that is reserved for it, which whoever sends the response closes when
   * the client has it or is gone.
   */
  public record Reserved<T>(T value, ResponseBudget.Reservation memory) {}

  /**
   * Makes all images of a request as one response.
   *
   * @param images about how many the request is for
   */
  public <T> PendingResponse<Reserved<ImageResult<T>>> generate(
      RequestContext context,
      ModelRef model,
      long images,
      RequestParser parser,
      ResponseEncoding<T> encoding) {
    return withVersion(
        model,
        images,
        version -> {
          PendingResponse<Reserved<ImageResult<T>>> pending =
              start(context, version, parser.parse(version), encoding);
          var unused = pending.future().whenComplete((result, failure) -> version.release());
          return pending;
        });
  }

  /** Likewise, of a version that the caller has acquired and releases afterwards. */
  public <T> PendingResponse<Reserved<ImageResult<T>>> generate(
      RequestContext context,
      ServedVersion version,
      ImageRequest request,
      ResponseEncoding<T> encoding) {
    try {
      return start(context, version, request, encoding);
    } catch (QueueFullException | TooLateException | RuntimeException e) {
      return PendingResponse.failed(e);
    }
  }

  /**
   * Makes the images of a request in chunks, as fast as the sink takes them.
   *
   * @param images about how many the request is for
   * @return the stream that has begun, which takes over from there
   */
  public PendingResponse<ImageStream<ImageResult<GenerateResponse>>> stream(
      RequestContext context,
      ModelRef model,
      long images,
      RequestParser parser,
      GenerateEncoding encoding,
      ResponseSink<ImageResult<GenerateResponse>> sink) {
    return withVersion(
        model,
        images,
        version -> {
          ImageRequest request = parser.parse(version);
          BatchScheduler scheduler = version.scheduler();
          int chunkSize = encoding.chunkSize(request, version);
          long inMemory = (long) chunkSize * ImageStream.MAX_CHUNKS_IN_MEMORY;
          int reserved = (int) Math.min(request.count(), inMemory);
          ResponseBudget.Reservation memory =
              budget.reserve(context.connection(), encoding.maxBytes(request, version, reserved));
          sink.hold(memory);
          int first = (int) Math.min(request.count(), chunkSize);
          QueuedRequest queued =
              scheduler.admit(
                  context.caller(),
                  request.count(),
                  first,
                  request.priority(),
                  context.nanosLeft());
          ImageStream<ImageResult<GenerateResponse>> stream =
              new ImageStream<>(
                  0,
                  request.count(),
                  chunkSize,
                  new ImageStream.Source<>() {
                    // Mutable state. The stream calls one method at a time.
                    private Duration pause = Duration.ZERO;

                    @Override
                    public ImageStream.Chunk<ImageResult<GenerateResponse>> start(
                        long index, int count) throws QueueFullException {
                      if (index == 0) {
                        quota.require(context.caller(), count);
                      } else {
                        pause = quota.take(context.caller(), count);
                        if (!pause.isZero()) {
                          throw new QueueFullException(count, 0, 0, 0, pause);
                        }
                      }
                      CompletableFuture<Images> made;
                      try {
                        made = submit(version, queued, request, index, count, workers);
                      } catch (QueueFullException | RuntimeException | Error e) {
                        quota.refund(context.caller(), count);
                        throw e;
                      }
                      return new ImageStream.Chunk<>(
                          made,
                          made.thenApply(
                              done ->
                                  encode(
                                      context.trace(), version, request, encoding, index, done)));
                    }

                    @Override
                    public CompletableFuture<Void> whenRoom() {
                      if (!pause.isZero()) {
                        return CompletableFuture.runAsync(
                            () -> {},
                            CompletableFuture.delayedExecutor(
                                pause.toNanos(), TimeUnit.NANOSECONDS, workers));
                      }
                      // Not on the thread that made the room: it has a network to run.
                      return scheduler.whenRoom().thenRunAsync(() -> {}, workers);
                    }
                  },
                  sink,
                  version::release);
          stream.pump();
          PendingResponse<ImageStream<ImageResult<GenerateResponse>>> pending =
              new PendingResponse<>();
          pending.onCancel(stream::cancel);
          pending.complete(stream, null);
          return pending;
        });
  }

  /** Makes the latents of a request, without their images, as which they count for the caller. */
  public PendingResponse<Reserved<GetLatentsResponse>> latents(
      RequestContext context, ModelRef model, long count, RequestParser parser) {
    return withVersion(
        model,
        count,
        version -> {
          ImageRequest request = parser.parse(version);
          long bytes = LatentsEncoder.requireFits(request, version);
          ResponseBudget.Reservation memory = reserve(context, (int) request.count(), bytes);
          try {
            PendingResponse<Reserved<GetLatentsResponse>> pending = new PendingResponse<>();
            pending.complete(new Reserved<>(LatentsEncoder.encode(request, version), memory), null);
            version.release();
            return pending;
          } catch (RuntimeException | Error e) {
            memory.close();
            throw e;
          }
        });
  }

  /**
   * Acquires a version, which whoever gets it releases once.
   *
   * <p>Cancelling the future gives it up; one that has completed is the caller's to release.
   *
   * @throws NotServedException there is no such version, or not now
   */
  public CompletableFuture<ServedVersion> acquire(ModelRef model) throws NotServedException {
    return registry.acquire(model.name(), model.version());
  }

  /** Reserves, admits, makes the latents, submits, encodes. */
  private <T> PendingResponse<Reserved<ImageResult<T>>> start(
      RequestContext context,
      ServedVersion version,
      ImageRequest request,
      ResponseEncoding<T> encoding)
      throws QueueFullException, TooLateException {
    long bytes = encoding.requireFits(request, version);
    int count = (int) request.count();
    ResponseBudget.Reservation memory = reserve(context, count, bytes);
    CompletableFuture<Images> images;
    try {
      QueuedRequest queued =
          version
              .scheduler()
              .admit(context.caller(), count, count, request.priority(), context.nanosLeft());
      Executor encoder = encoding.isCheap(request) ? context.sender() : workers;
      images = submit(version, queued, request, 0, count, encoder);
    } catch (QueueFullException | TooLateException | RuntimeException | Error e) {
      memory.close();
      quota.refund(context.caller(), count);
      throw e;
    }
    PendingResponse<Reserved<ImageResult<T>>> pending = new PendingResponse<>();
    pending.onCancel(() -> images.cancel(false));
    var unused =
        images
            .thenApply(made -> encode(context.trace(), version, request, encoding, 0, made))
            .whenComplete(
                (result, failure) -> {
                  if (failure != null) {
                    memory.close();
                    pending.complete(null, failure);
                  } else {
                    pending.complete(new Reserved<>(result, memory), null);
                  }
                });
    return pending;
  }

  /** Takes images of the caller, and memory for their response. */
  private ResponseBudget.Reservation reserve(RequestContext context, int count, long bytes) {
    quota.require(context.caller(), count);
    try {
      return budget.reserve(context.connection(), bytes);
    } catch (RuntimeException e) {
      quota.refund(context.caller(), count);
      throw e;
    }
  }

  /** Makes the latents [first, first + count) of a request that was admitted, and queues them. */
  private static CompletableFuture<Images> submit(
      ServedVersion version,
      QueuedRequest queued,
      ImageRequest request,
      long first,
      int count,
      Executor encoder)
      throws QueueFullException {
    BatchScheduler scheduler = version.scheduler();
    scheduler.reserve(queued, count); // Before the latents are made, which costs more.
    try {
      float[] latents = request.source().latents(first, count, version.latentSize());
      long[] labels = request.labels().labels(first, count);
      return scheduler.submit(queued, latents, labels, request.output(), encoder);
    } catch (RuntimeException | Error e) {
      scheduler.release(queued);
      throw e;
    }
  }

  private static <T> ImageResult<T> encode(
      Context trace,
      ServedVersion version,
      ImageRequest request,
      ResponseEncoding<T> encoding,
      long first,
      Images images) {
    long start = System.nanoTime();
    T encoded = encoding.encode(request, version, first, images);
    RequestTrace.record(trace, images, start);
    return new ImageResult<>(encoded, version, encoding.label(request), images.count());
  }

  /** Acquires a version and starts a step with it: here, or on a worker if that takes long. */
  private <T> PendingResponse<T> withVersion(ModelRef model, long images, Step<T> step) {
    CompletableFuture<ServedVersion> acquired;
    try {
      acquired = acquire(model);
    } catch (NotServedException e) {
      return PendingResponse.failed(e);
    }
    PendingResponse<T> pending = new PendingResponse<>();
    pending.onCancel(() -> acquired.cancel(false));
    boolean here =
        acquired.isDone()
            && !acquired.isCompletedExceptionally()
            && images <= FEW_LATENT_VALUES / acquired.join().latentSize();
    var unused =
        acquired.whenCompleteAsync(
            (version, failure) -> {
              if (failure != null) {
                pending.complete(null, failure);
              } else {
                start(version, step, pending);
              }
            },
            here ? Runnable::run : workers);
    return pending;
  }

  private static <T> void start(ServedVersion version, Step<T> step, PendingResponse<T> pending) {
    try {
      pending.follow(step.start(version));
    } catch (QueueFullException | TooLateException | RuntimeException | Error e) {
      // Whatever it was: a version that is never released would stay open for ever.
      version.release();
      pending.complete(null, e);
    }
  }
}
