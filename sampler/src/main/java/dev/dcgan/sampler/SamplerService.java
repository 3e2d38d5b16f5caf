package dev.dcgan.sampler;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.batch.Images;
import dev.dcgan.sampler.batch.QueueFullException;
import dev.dcgan.sampler.model.ActiveModel;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.server.Errors;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;
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

  private final ActiveModel models;
  private final Executor encoders;
  private final SamplerMetrics metrics;

  SamplerService(ActiveModel models, Executor encoders, SamplerMetrics metrics) {
    this.models = models;
    this.encoders = encoders;
    this.metrics = metrics;
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    LoadedModel model = null;
    try {
      check(request);
      model = acquire(request);
      checkUnary(request, model);
      answer(request, model, (ServerCallStreamObserver<GenerateResponse>) observer);
    } catch (QueueFullException | RuntimeException | Error e) {
      // Whatever it was: a use that is never released would keep the version open for ever.
      release(model);
      observer.onError(told(e));
    }
  }

  @Override
  public void generateStream(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    LoadedModel model = null;
    int chunkSize;
    try {
      check(request);
      if (request.getFormat() == ImageFormat.IMAGE_FORMAT_SHEET) {
        throw Errors.invalidArgument("format", "SHEET is one picture; use Generate");
      }
      model = acquire(request);
      chunkSize = chunkSize(request, model);
    } catch (StatusRuntimeException e) {
      release(model);
      observer.onError(e);
      return;
    }
    // From here on the stream releases the version, once, however it ends.
    stream(request, model, chunkSize, (ServerCallStreamObserver<GenerateResponse>) observer);
  }

  private void answer(
      GenerateRequest request,
      LoadedModel model,
      ServerCallStreamObserver<GenerateResponse> observer)
      throws QueueFullException {
    ImageStream.Chunk chunk = start(request, model, request.getFirstIndex(), request.getCount());
    observer.setOnCancelHandler(() -> chunk.images().cancel(false));
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
      GenerateRequest request,
      LoadedModel model,
      int chunkSize,
      ServerCallStreamObserver<GenerateResponse> observer) {
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
    observer.setOnReadyHandler(stream::pump);
    observer.setOnCancelHandler(stream::cancel);
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

  private LoadedModel acquire(GenerateRequest request) {
    LoadedModel model = models.acquire();
    if (model == null) {
      throw Errors.unavailable("no model is served here now; try again later");
    }
    String name = model.version().getName();
    long version = model.version().getVersion();
    boolean named = request.getModel().isEmpty() || request.getModel().equals(name);
    if (named && (request.getVersion() == 0 || request.getVersion() == version)) {
      return model;
    }
    model.release();
    throw Errors.notFound(
        named
            ? "version %s of %s is not served; %d is"
                .formatted(Long.toUnsignedString(request.getVersion()), name, version)
            : "model '%s' is not served; '%s' is".formatted(request.getModel(), name));
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

  private static void release(@Nullable LoadedModel model) {
    if (model != null) {
      model.release();
    }
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
    if (cause instanceof CancellationException) {
      return Status.CANCELLED.withDescription("the call was cancelled").asRuntimeException();
    }
    log.error("images could not be made", cause);
    return Errors.internal();
  }
}
