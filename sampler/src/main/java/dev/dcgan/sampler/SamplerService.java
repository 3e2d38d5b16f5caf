package dev.dcgan.sampler;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.batch.Images;
import dev.dcgan.sampler.batch.QueueFullException;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.sampler.model.ModelStatus;
import dev.dcgan.sampler.model.Models;
import dev.dcgan.sampler.model.NotServedException;
import dev.dcgan.server.Errors;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.ServedModel;
import dev.dcgan.v1.SetServingVersionRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The gRPC adapter: checks requests, queues their images, sends what came of them. Thread-safe;
 * never blocks. Images are encoded on {@code encoders}, not on the inference thread.
 */
final class SamplerService extends SamplerServiceGrpc.SamplerServiceImplBase {

  /** The limit on what a client receives in one message, unless it was told otherwise. */
  static final int MAX_ANSWER_BYTES = 4 << 20;

  static final int MAX_CHUNK_BYTES = (1 << 20) - 1;

  private static final Logger log = LoggerFactory.getLogger(SamplerService.class);
  private static final float MAX_TEMPERATURE = 2;

  private final Models models;
  private final Executor encoders;
  private final SamplerMetrics metrics;

  SamplerService(Models models, Executor encoders, SamplerMetrics metrics) {
    this.models = models;
    this.encoders = encoders;
    this.metrics = metrics;
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    Call<GenerateResponse> call = new Call<>(observer);
    try {
      check(request);
    } catch (StatusRuntimeException e) {
      observer.onError(e);
      return;
    }
    withModel(
        request.getModel(),
        request.getVersion(),
        call,
        model -> {
          try {
            checkUnary(request, model);
            answer(request, model, call);
          } catch (QueueFullException | RuntimeException | Error e) {
            // Whatever it was: a use that is never released would keep the version open for ever.
            model.release();
            observer.onError(told(e));
          }
        });
  }

  @Override
  public void generateStream(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    Call<GenerateResponse> call = new Call<>(observer);
    try {
      check(request);
      if (request.getFormat() == ImageFormat.IMAGE_FORMAT_SHEET) {
        throw Errors.invalidArgument("format", "SHEET is one picture; use Generate");
      }
    } catch (StatusRuntimeException e) {
      observer.onError(e);
      return;
    }
    withModel(
        request.getModel(),
        request.getVersion(),
        call,
        model -> {
          int chunkSize;
          try {
            chunkSize = chunkSize(request, model);
          } catch (StatusRuntimeException e) {
            model.release();
            observer.onError(e);
            return;
          }
          // From here on the stream releases the version, once, however it ends.
          stream(request, model, chunkSize, call);
        });
  }

  @Override
  public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> observer) {
    observer.onNext(ModelAnswers.of(models.list(), MAX_ANSWER_BYTES));
    observer.onCompleted();
  }

  @Override
  public void getModel(GetModelRequest request, StreamObserver<ServedModel> observer) {
    answer(() -> models.get(request.getModel(), request.getVersion()), observer);
  }

  @Override
  public void setServingVersion(
      SetServingVersionRequest request, StreamObserver<ServedModel> observer) {
    answer(() -> models.setServing(request.getModel(), request.getVersion()), observer);
  }

  private interface Question {
    CompletableFuture<ModelStatus> ask() throws NotServedException;
  }

  private static void answer(Question question, StreamObserver<ServedModel> observer) {
    Call<ServedModel> call = new Call<>(observer);
    CompletableFuture<ModelStatus> status;
    try {
      status = question.ask();
    } catch (NotServedException e) {
      observer.onError(told(e));
      return;
    }
    var unused =
        status.whenComplete(
            (found, failure) -> {
              if (failure != null) {
                call.observer.onError(told(failure));
                return;
              }
              call.observer.onNext(ModelAnswers.of(found));
              call.observer.onCompleted();
            });
  }

  /**
   * Does something with a version: at once where it is in memory, otherwise on an encoder's thread
   * when it is; or answers why not. {@code use} releases the version.
   */
  private void withModel(String name, long version, Call<?> call, Consumer<LoadedModel> use) {
    CompletableFuture<LoadedModel> acquired;
    try {
      acquired = models.acquire(name, version);
    } catch (NotServedException e) {
      call.observer.onError(told(e));
      return;
    }
    if (acquired.isDone() && !acquired.isCompletedExceptionally()) {
      use.accept(acquired.join());
      return;
    }
    call.onCancel(() -> acquired.cancel(false));
    var unused =
        acquired.whenCompleteAsync(
            (model, failure) -> {
              if (failure != null) {
                call.observer.onError(told(failure));
                return;
              }
              use.accept(model);
            },
            encoders);
  }

  /** A call's observer, and what to do when its caller goes away or reads on: that may change. */
  private static final class Call<T> {

    private final ServerCallStreamObserver<T> observer;

    // Mutable state
    @GuardedBy("this") private boolean cancelled;

    @GuardedBy("this") private Runnable onCancel = () -> {};

    private volatile Runnable onReady = () -> {};

    /** Within the call of the method: gRPC takes no handlers later. */
    Call(StreamObserver<T> observer) {
      this.observer = (ServerCallStreamObserver<T>) observer;
      this.observer.setOnCancelHandler(this::cancel);
      this.observer.setOnReadyHandler(() -> onReady.run());
    }

    /** Sets what to do in place of what was to be done before; at once if it has happened. */
    void onCancel(Runnable action) {
      synchronized (this) {
        onCancel = action;
        if (!cancelled) {
          return;
        }
      }
      action.run();
    }

    void onReady(Runnable action) {
      onReady = action;
    }

    private void cancel() {
      Runnable action;
      synchronized (this) {
        cancelled = true;
        action = onCancel;
      }
      action.run();
    }
  }

  private void answer(GenerateRequest request, LoadedModel model, Call<GenerateResponse> call)
      throws QueueFullException {
    ServerCallStreamObserver<GenerateResponse> observer = call.observer;
    ImageStream.Chunk chunk = start(request, model, request.getFirstIndex(), request.getCount());
    call.onCancel(() -> chunk.images().cancel(false));
    var unused =
        chunk
            .answer()
            .whenComplete(
                (answer, failure) -> {
                  model.release();
                  if (failure != null) {
                    observer.onError(told(failure));
                    return;
                  }
                  observer.onNext(answer);
                  sent(request, answer);
                  observer.onCompleted();
                });
  }

  private void stream(
      GenerateRequest request, LoadedModel model, int chunkSize, Call<GenerateResponse> call) {
    ServerCallStreamObserver<GenerateResponse> observer = call.observer;
    ImageStream stream =
        new ImageStream(
            request.getFirstIndex(),
            Integer.toUnsignedLong(request.getCount()),
            chunkSize,
            (first, count) -> start(request, model, first, count),
            new ImageStream.Sink() {
              @Override
              public boolean isReady() {
                return observer.isReady();
              }

              @Override
              public void deliver(GenerateResponse answer) {
                observer.onNext(answer);
                sent(request, answer);
              }

              @Override
              public void complete() {
                observer.onCompleted();
              }

              @Override
              public void fail(Throwable cause) {
                observer.onError(told(cause));
              }

              @Override
              public void ended() {
                model.release();
              }
            });
    call.onReady(stream::pump);
    call.onCancel(stream::cancel);
    stream.pump();
  }

  /** Queues the images [first, first + count), to be encoded once they are made. */
  private ImageStream.Chunk start(GenerateRequest request, LoadedModel model, long first, int count)
      throws QueueFullException {
    ImageFormat format = request.getFormat();
    CompletableFuture<Images> images =
        model
            .batcher()
            .submit(latents(request, model.latentSize(), first, count), Answers.output(format));
    return new ImageStream.Chunk(
        images,
        images.thenApplyAsync(made -> Answers.render(model, format, first, made), encoders));
  }

  /** (count, size): by the latent law, times the temperature. */
  private static float[] latents(GenerateRequest request, int size, long first, int count) {
    float[] z = new float[count * size];
    for (int i = 0; i < count; i++) {
      Latents.fill(request.getSeed(), first + i, z, i * size, size);
    }
    if (request.hasTemperature()) {
      for (int i = 0; i < z.length; i++) {
        z[i] *= request.getTemperature();
      }
    }
    return z;
  }

  private static void check(GenerateRequest request) {
    long count = Integer.toUnsignedLong(request.getCount());
    if (count == 0) {
      throw Errors.invalidArgument("count", "count 0: ask for 1 image or more");
    }
    // A negative long is 2^63 or more.
    if (request.getFirstIndex() < 0 || request.getFirstIndex() - 1 > Long.MAX_VALUE - count) {
      throw Errors.invalidArgument(
          "first_index",
          "first_index %s and count %d: their sum must not pass 2^63"
              .formatted(Long.toUnsignedString(request.getFirstIndex()), count));
    }
    if (request.getFormat() == ImageFormat.UNRECOGNIZED) {
      throw Errors.invalidArgument(
          "format",
          "format %d: expected PNG (1), RAW (2), FLOAT (3) or SHEET (4)"
              .formatted(request.getFormatValue()));
    }
    float temperature = request.getTemperature();
    if (request.hasTemperature() && !(temperature > 0 && temperature <= MAX_TEMPERATURE)) {
      throw Errors.invalidArgument(
          "temperature", "temperature %s: expected above 0, at most 2".formatted(temperature));
    }
  }

  private static void checkUnary(GenerateRequest request, LoadedModel model) {
    long count = Integer.toUnsignedLong(request.getCount());
    int fit = Answers.maxCount(request.getFormat(), model.shape(), MAX_ANSWER_BYTES);
    int most = Math.min(fit, model.batcher().policy().maxQueueImages());
    if (count > most) {
      throw Errors.invalidArgument(
          "count",
          "count %d exceeds %d images of %s as %s in one answer of at most %d bytes; %s"
              .formatted(
                  count,
                  most,
                  model.shape(),
                  Answers.name(request.getFormat()).toUpperCase(Locale.ROOT),
                  MAX_ANSWER_BYTES,
                  request.getFormat() == ImageFormat.IMAGE_FORMAT_SHEET
                      ? "ask for fewer, or for PNG and use GenerateStream"
                      : "use GenerateStream"));
    }
  }

  private static int chunkSize(GenerateRequest request, LoadedModel model) {
    ImageShape shape = model.shape();
    int fit = Answers.maxCount(request.getFormat(), shape, MAX_CHUNK_BYTES);
    if (fit == 0) {
      throw Errors.invalidArgument(
          "format",
          "one image of %s as %s exceeds %d bytes; ask for another format"
              .formatted(shape, Answers.name(request.getFormat()), MAX_CHUNK_BYTES));
    }
    // No more than a batch, so that a stream holds no more of the queue than keeps it going.
    var policy = model.batcher().policy();
    return Math.min(fit, Math.min(policy.maxBatch(), policy.maxQueueImages()));
  }

  private void sent(GenerateRequest request, GenerateResponse answer) {
    metrics.sent(Answers.name(request.getFormat()), answer.getCount());
  }

  private static StatusRuntimeException told(Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    if (cause instanceof StatusRuntimeException status) {
      return status;
    }
    if (cause instanceof QueueFullException full) {
      return Errors.overloaded(String.valueOf(full.getMessage()), full.retryAfter());
    }
    if (cause instanceof NotServedException refused) {
      return refusal(refused);
    }
    if (cause instanceof CancellationException) {
      return Status.CANCELLED.withDescription("the call was cancelled").asRuntimeException();
    }
    log.error("images could not be made", cause);
    return Errors.internal();
  }

  private static StatusRuntimeException refusal(NotServedException refused) {
    String message = String.valueOf(refused.getMessage());
    return switch (refused.why()) {
      case AMBIGUOUS -> Errors.invalidArgument("model", message);
      case NOT_FOUND -> Errors.notFound(message);
      case UNAVAILABLE -> Errors.unavailable(message);
      case WRONG_STATE -> Errors.failedPrecondition(message);
      case FORBIDDEN -> Errors.permissionDenied(message);
    };
  }
}
