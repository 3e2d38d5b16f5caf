package dev.dcgan.sampler;

import dev.dcgan.sampler.batch.QueueFullException;
import dev.dcgan.sampler.batch.Request;
import dev.dcgan.sampler.batch.TooLateException;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.sampler.model.Models;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.ServedModel;
import dev.dcgan.v1.SetServingVersionRequest;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * The gRPC adapter: has requests checked, their images made, and sends what came of them.
 * Thread-safe; never blocks. Small calls are handled on the thread that reads from the connection;
 * those whose latents take longer to make than a change of thread are handed on.
 */
final class SamplerService extends SamplerServiceGrpc.SamplerServiceImplBase {

  private final Models models;
  private final ImageMaker maker;
  private final SamplerMetrics metrics;
  private final Executor later;
  private final AnswerRoom room;

  /**
   * The service.
   *
   * @param later runs calls that had to wait for their version, those for many images, and streams
   * @param room for answers on their way
   */
  SamplerService(
      Models models, ImageMaker maker, SamplerMetrics metrics, Executor later, AnswerRoom room) {
    this.models = models;
    this.maker = maker;
    this.metrics = metrics;
    this.later = later;
    this.room = room;
  }

  @Override
  public void generate(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    ServiceCall<GenerateResponse> call = new ServiceCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> answer(call, model, ImageRequest.of(asked)));
  }

  @Override
  public void decode(DecodeRequest asked, StreamObserver<GenerateResponse> observer) {
    ServiceCall<GenerateResponse> call = new ServiceCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        asked.getLatentsCount() / 64,
        later,
        model -> answer(call, model, ImageRequest.of(asked, model)));
  }

  @Override
  public void interpolate(InterpolateRequest asked, StreamObserver<GenerateResponse> observer) {
    ServiceCall<GenerateResponse> call = new ServiceCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> answer(call, model, ImageRequest.of(asked, model)));
  }

  @Override
  public void getLatents(GetLatentsRequest asked, StreamObserver<GetLatentsResponse> observer) {
    ServiceCall<GetLatentsResponse> call = new ServiceCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> {
          ImageRequest wanted = ImageRequest.of(asked);
          call.reserve(Answers.requireLatentsFit(model, wanted));
          call.send(Answers.latents(model, wanted));
          call.complete();
          model.release();
        });
  }

  @Override
  public void generateStream(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    ServiceCall<GenerateResponse> call = new ServiceCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> {
          ImageRequest wanted = ImageRequest.of(asked);
          if (wanted.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
            throw Refusal.invalid("format", "SHEET is one picture; use Generate");
          }
          int chunkSize = maker.chunkSize(wanted, model);
          long inMemory = Math.min(wanted.count(), (long) chunkSize * ImageStream.MOST_IN_MEMORY);
          call.reserve(Answers.maxBytes(wanted, model.shape(), (int) inMemory));
          Request request =
              model.batcher().admit(wanted.count(), wanted.priority(), call.nanosLeft());
          // From here on the stream releases the version, once, however it ends.
          stream(call, model, wanted, request, chunkSize);
        });
  }

  @Override
  public void listModels(ListModelsRequest asked, StreamObserver<ListModelsResponse> observer) {
    new ServiceCall<>(observer, room)
        .answer(ModelAnswers.of(models.list(), ImageMaker.MAX_ANSWER_BYTES));
  }

  @Override
  public void getModel(GetModelRequest asked, StreamObserver<ServedModel> observer) {
    ServiceCall<ServedModel> call = new ServiceCall<>(observer, room);
    call.answer(() -> models.get(asked.getModel(), asked.getVersion()), ModelAnswers::of);
  }

  @Override
  public void setServingVersion(
      SetServingVersionRequest asked, StreamObserver<ServedModel> observer) {
    ServiceCall<ServedModel> call = new ServiceCall<>(observer, room);
    call.answer(() -> models.setServing(asked.getModel(), asked.getVersion()), ModelAnswers::of);
  }

  private void answer(ServiceCall<GenerateResponse> call, LoadedModel model, ImageRequest wanted)
      throws QueueFullException, TooLateException {
    call.reserve(ImageMaker.requireFits(wanted, model, ImageMaker.streamAdvice(wanted.format())));
    Pending pending = maker.answer(model, wanted, call.nanosLeft(), call.thread());
    call.onCancel(pending::cancel);
    call.answer(model, pending.answer(), answer -> metrics.sent(wanted.format(), answer));
  }

  private void stream(
      ServiceCall<GenerateResponse> call,
      LoadedModel model,
      ImageRequest wanted,
      Request request,
      int chunkSize) {
    ImageStream stream =
        new ImageStream(
            wanted.first(),
            wanted.count(),
            chunkSize,
            new ImageStream.Source() {
              @Override
              public Pending start(long first, int count) throws QueueFullException {
                return maker.start(model, request, wanted, first, count, later);
              }

              @Override
              public CompletableFuture<Void> whenRoom() {
                // Not on the thread that made the room: it has a network to run.
                return model.batcher().whenRoom().thenRunAsync(() -> {}, later);
              }
            },
            new ImageStream.Sink() {
              @Override
              public boolean isReady() {
                return call.isReady();
              }

              @Override
              public void deliver(GenerateResponse answer) {
                call.send(answer);
                metrics.sent(wanted.format(), answer);
              }

              @Override
              public void complete() {
                call.complete();
              }

              @Override
              public void fail(Throwable cause) {
                call.refuse(cause);
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
}
