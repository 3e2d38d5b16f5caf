package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ImageStream;
import dev.dcgan.sampler.core.Pending;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.core.ResponseEncoder;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.QueuedRequest;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.sampler.server.SamplerMetrics;
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
public final class SamplerGrpcService extends SamplerServiceGrpc.SamplerServiceImplBase {

  private final ModelRegistry models;
  private final ImageService maker;
  private final SamplerMetrics metrics;
  private final Executor later;
  private final ResponseBudget room;

  /**
   * The service.
   *
   * @param later runs calls that had to wait for their version, those for many images, and streams
   * @param room for answers on their way
   */
  public SamplerGrpcService(
      ModelRegistry models, ImageService maker, SamplerMetrics metrics, Executor later, ResponseBudget room) {
    this.models = models;
    this.maker = maker;
    this.metrics = metrics;
    this.later = later;
    this.room = room;
  }

  @Override
  public void generate(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, room);
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
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, room);
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
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, room);
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
    GrpcCall<GetLatentsResponse> call = new GrpcCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> {
          ImageRequest wanted = ImageRequest.of(asked);
          call.reserve(ResponseEncoder.requireLatentsFit(model, wanted));
          call.send(ResponseEncoder.latents(model, wanted));
          call.complete();
          model.release();
        });
  }

  @Override
  public void generateStream(GenerateRequest asked, StreamObserver<GenerateResponse> observer) {
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, room);
    call.use(
        models,
        asked.getModel(),
        asked.getVersion(),
        Integer.toUnsignedLong(asked.getCount()),
        later,
        model -> {
          ImageRequest wanted = ImageRequest.of(asked);
          if (wanted.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
            throw RequestException.invalid("format", "SHEET is one picture; use Generate");
          }
          int chunkSize = maker.chunkSize(wanted, model);
          long inMemory = Math.min(wanted.count(), (long) chunkSize * ImageStream.MOST_IN_MEMORY);
          call.reserve(ResponseEncoder.maxBytes(wanted, model.shape(), (int) inMemory));
          QueuedRequest request =
              model.scheduler().admit(wanted.count(), wanted.priority(), call.nanosLeft());
          // From here on the stream releases the version, once, however it ends.
          stream(call, model, wanted, request, chunkSize);
        });
  }

  @Override
  public void listModels(ListModelsRequest asked, StreamObserver<ListModelsResponse> observer) {
    new GrpcCall<>(observer, room)
        .answer(ModelResponses.of(models.list(), ImageService.MAX_ANSWER_BYTES));
  }

  @Override
  public void getModel(GetModelRequest asked, StreamObserver<ServedModel> observer) {
    GrpcCall<ServedModel> call = new GrpcCall<>(observer, room);
    call.answer(() -> models.get(asked.getModel(), asked.getVersion()), ModelResponses::of);
  }

  @Override
  public void setServingVersion(
      SetServingVersionRequest asked, StreamObserver<ServedModel> observer) {
    GrpcCall<ServedModel> call = new GrpcCall<>(observer, room);
    call.answer(() -> models.setServing(asked.getModel(), asked.getVersion()), ModelResponses::of);
  }

  private void answer(GrpcCall<GenerateResponse> call, ServedVersion model, ImageRequest wanted)
      throws QueueFullException, TooLateException {
    call.reserve(ImageService.requireFits(wanted, model, ImageService.streamAdvice(wanted.format())));
    Pending pending = maker.answer(model, wanted, call.nanosLeft(), call.thread());
    call.onCancel(pending::cancel);
    call.answer(model, pending.answer(), answer -> metrics.sent(wanted.format(), answer));
  }

  private void stream(
      GrpcCall<GenerateResponse> call,
      ServedVersion model,
      ImageRequest wanted,
      QueuedRequest request,
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
                return model.scheduler().whenRoom().thenRunAsync(() -> {}, later);
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
