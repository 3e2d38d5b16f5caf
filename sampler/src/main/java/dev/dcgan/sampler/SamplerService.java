package dev.dcgan.sampler;

import dev.dcgan.sampler.batch.Batcher;
import dev.dcgan.sampler.batch.QueueFullException;
import dev.dcgan.sampler.batch.Request;
import dev.dcgan.sampler.batch.TooLateException;
import dev.dcgan.sampler.model.ActiveModel;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.server.Errors;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The gRPC adapter: has requests checked, their images made, and sends what came of them.
 * Thread-safe; never blocks.
 */
final class SamplerService extends SamplerServiceGrpc.SamplerServiceImplBase {

  private final ActiveModel models;
  private final ImageMaker maker;
  private final SamplerMetrics metrics;

  SamplerService(ActiveModel models, ImageMaker maker, SamplerMetrics metrics) {
    this.models = models;
    this.maker = maker;
    this.metrics = metrics;
  }

  /** What is done with a version once there is one; it must release it. */
  private interface Use {
    void with(LoadedModel model) throws QueueFullException, TooLateException;
  }

  @Override
  public void generate(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    use(
        asked.getModel(),
        asked.getVersion(),
        observer,
        model -> answer(model, ImageRequest.of(asked), observer));
  }

  @Override
  public void decode(DecodeRequest asked, StreamObserver<GenerateResponse> observer) {
    use(
        asked.getModel(),
        asked.getVersion(),
        observer,
        model -> answer(model, ImageRequest.of(asked, model), observer));
  }

  @Override
  public void interpolate(InterpolateRequest asked, StreamObserver<GenerateResponse> observer) {
    use(
        asked.getModel(),
        asked.getVersion(),
        observer,
        model -> answer(model, ImageRequest.of(asked, model), observer));
  }

  @Override
  public void getLatents(GetLatentsRequest asked, StreamObserver<GetLatentsResponse> observer) {
    use(
        asked.getModel(),
        asked.getVersion(),
        observer,
        model -> {
          GetLatentsResponse latents = Answers.latents(model, ImageRequest.of(asked));
          model.release();
          observer.onNext(latents);
          observer.onCompleted();
        });
  }

  @Override
  public void generateStream(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    use(
        asked.getModel(),
        asked.getVersion(),
        observer,
        model -> {
          ImageRequest wanted = ImageRequest.of(asked);
          if (wanted.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
            throw Refusal.invalid("format", "SHEET is one picture; use Generate");
          }
          int chunkSize = maker.chunkSize(wanted, model);
          Request request = model.batcher().admit(wanted.count(), wanted.priority(), nanosLeft());
          // From here on the stream releases the version, once, however it ends.
          stream(
              wanted,
              model,
              request,
              chunkSize,
              (ServerCallStreamObserver<GenerateResponse>) observer);
        });
  }

  private void use(String model, long version, StreamObserver<?> observer, Use use) {
    LoadedModel loaded = null;
    try {
      loaded = acquire(model, version);
      use.with(loaded);
    } catch (QueueFullException | TooLateException | RuntimeException | Error e) {
      // Whatever it was: a use that is never released would keep the version open for ever.
      if (loaded != null) {
        loaded.release();
      }
      observer.onError(told(e));
    }
  }

  private void answer(
      LoadedModel model, ImageRequest wanted, StreamObserver<GenerateResponse> observer)
      throws QueueFullException, TooLateException {
    Pending pending = maker.answer(model, wanted, nanosLeft());
    ((ServerCallStreamObserver<GenerateResponse>) observer).setOnCancelHandler(pending::cancel);
    var unused =
        pending
            .answer()
            .whenComplete(
                (answer, failure) -> {
                  model.release();
                  if (failure != null) {
                    observer.onError(told(failure));
                    return;
                  }
                  observer.onNext(answer);
                  metrics.sent(wanted.format(), answer.getCount());
                  observer.onCompleted();
                });
  }

  private void stream(
      ImageRequest wanted,
      LoadedModel model,
      Request request,
      int chunkSize,
      ServerCallStreamObserver<GenerateResponse> observer) {
    ImageStream stream =
        new ImageStream(
            wanted.first(),
            wanted.count(),
            chunkSize,
            new ImageStream.Source() {
              @Override
              public Pending start(long first, int count) throws QueueFullException {
                return maker.start(model, request, wanted, first, count);
              }

              @Override
              public CompletableFuture<Void> whenRoom() {
                return model.batcher().whenRoom();
              }
            },
            new ImageStream.Sink() {
              @Override
              public boolean isReady() {
                return observer.isReady();
              }

              @Override
              public void deliver(GenerateResponse answer) {
                observer.onNext(answer);
                metrics.sent(wanted.format(), answer.getCount());
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
    observer.setOnReadyHandler(stream::pump);
    observer.setOnCancelHandler(stream::cancel);
    stream.pump();
  }

  private LoadedModel acquire(String name, long version) {
    LoadedModel model = models.acquire();
    if (model == null) {
      throw Refusal.of(Refusal.Kind.UNAVAILABLE, "no model is served here now; try again later");
    }
    String served = model.version().getName();
    long servedVersion = model.version().getVersion();
    boolean named = name.isEmpty() || name.equals(served);
    if (named && (version == 0 || version == servedVersion)) {
      return model;
    }
    model.release();
    throw Refusal.of(
        Refusal.Kind.NOT_FOUND,
        named
            ? "version %s of %s is not served; %d is"
                .formatted(Long.toUnsignedString(version), served, servedVersion)
            : "model '%s' is not served; '%s' is".formatted(name, served));
  }

  /** Until the deadline of the call that this thread is handling. */
  private static long nanosLeft() {
    @Nullable Deadline deadline = Context.current().getDeadline();
    return deadline == null ? Batcher.NO_DEADLINE : deadline.timeRemaining(TimeUnit.NANOSECONDS);
  }

  private static StatusRuntimeException told(Throwable failure) {
    Refusal refusal = Refusal.of(failure);
    String message = String.valueOf(refusal.getMessage());
    return switch (refusal.kind()) {
      case INVALID -> Errors.invalidArgument(refusal.field(), message);
      case NOT_FOUND -> Errors.notFound(message);
      case OVERLOADED -> Errors.overloaded(message, refusal.retryAfter());
      case TOO_LATE -> Errors.deadlineExceeded(message);
      case UNAVAILABLE -> Errors.unavailable(message);
      case CANCELLED -> Status.CANCELLED.withDescription(message).asRuntimeException();
      case FAULT -> Errors.internal();
    };
  }
}
