package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.sampler.server.SamplerMetrics;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferResponse;
import dev.dcgan.v1.inference.ModelMetadataRequest;
import dev.dcgan.v1.inference.ModelMetadataResponse;
import dev.dcgan.v1.inference.ModelReadyRequest;
import dev.dcgan.v1.inference.ModelReadyResponse;
import dev.dcgan.v1.inference.ServerLiveRequest;
import dev.dcgan.v1.inference.ServerLiveResponse;
import dev.dcgan.v1.inference.ServerMetadataRequest;
import dev.dcgan.v1.inference.ServerMetadataResponse;
import dev.dcgan.v1.inference.ServerReadyRequest;
import dev.dcgan.v1.inference.ServerReadyResponse;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;

/**
 * The gRPC adapter of the Open Inference Protocol, for clients that know Triton or KServe: the same
 * models, through the same queue. Thread-safe; never blocks.
 */
public final class InferenceGrpcService extends GRPCInferenceServiceGrpc.GRPCInferenceServiceImplBase {

  private static final String NAME = "dcgan-sampler";

  private final ModelRegistry models;
  private final ImageService maker;
  private final SamplerMetrics metrics;
  private final Executor later;
  private final BooleanSupplier live;
  private final BooleanSupplier ready;
  private final ResponseBudget room;

  /**
   * The service.
   *
   * @param later runs calls that had to wait for their version, and makes pixels of floats
   * @param live whether this process can serve, now or later
   * @param ready whether calls should be sent here
   * @param room for answers on their way
   */
  public InferenceGrpcService(
      ModelRegistry models,
      ImageService maker,
      SamplerMetrics metrics,
      Executor later,
      BooleanSupplier live,
      BooleanSupplier ready,
      ResponseBudget room) {
    this.models = models;
    this.maker = maker;
    this.metrics = metrics;
    this.later = later;
    this.live = live;
    this.ready = ready;
    this.room = room;
  }

  @Override
  public void serverLive(ServerLiveRequest asked, StreamObserver<ServerLiveResponse> observer) {
    new GrpcCall<>(observer, room)
        .tell(ServerLiveResponse.newBuilder().setLive(live.getAsBoolean()).build());
  }

  @Override
  public void serverReady(ServerReadyRequest asked, StreamObserver<ServerReadyResponse> observer) {
    new GrpcCall<>(observer, room)
        .tell(ServerReadyResponse.newBuilder().setReady(ready.getAsBoolean()).build());
  }

  @Override
  public void modelReady(ModelReadyRequest asked, StreamObserver<ModelReadyResponse> observer) {
    GrpcCall<ModelReadyResponse> call = new GrpcCall<>(observer, room);
    try {
      long version = InferRequest.version("version", asked.getVersion());
      call.tell(
          ModelReadyResponse.newBuilder().setReady(isReady(asked.getName(), version)).build());
    } catch (NotServedException | RequestException e) {
      call.refuse(e);
    }
  }

  @Override
  public void serverMetadata(
      ServerMetadataRequest asked, StreamObserver<ServerMetadataResponse> observer) {
    // The jar's, as the build wrote it into the manifest.
    String version = InferenceGrpcService.class.getPackage().getImplementationVersion();
    new GrpcCall<>(observer, room)
        .tell(
            ServerMetadataResponse.newBuilder()
                .setName(NAME)
                .setVersion(version == null ? "(not packaged)" : version)
                .build());
  }

  @Override
  public void modelMetadata(
      ModelMetadataRequest asked, StreamObserver<ModelMetadataResponse> observer) {
    GrpcCall<ModelMetadataResponse> call = new GrpcCall<>(observer, room);
    call.answer(
        () -> models.get(asked.getName(), InferRequest.version("version", asked.getVersion())),
        InferResponses::metadata);
  }

  @Override
  public void modelInfer(ModelInferRequest asked, StreamObserver<ModelInferResponse> observer) {
    GrpcCall<ModelInferResponse> call = new GrpcCall<>(observer, room);
    long version;
    try {
      version = InferRequest.version("model_version", asked.getModelVersion());
    } catch (RequestException e) {
      call.refuse(e);
      return;
    }
    call.use(
        models,
        asked.getModelName(),
        version,
        asked.getSerializedSize() / (64 * Float.BYTES),
        later,
        model -> infer(call, model, asked));
  }

  private boolean isReady(String name, long version) throws NotServedException {
    try {
      return InferResponses.isReady(models.get(name, 0).join(), version);
    } catch (NotServedException e) {
      if (e.why() == Why.NOT_FOUND || e.why() == Why.UNAVAILABLE) {
        return false;
      }
      throw e;
    }
  }

  private void infer(
      GrpcCall<ModelInferResponse> call, ServedVersion model, ModelInferRequest asked)
      throws QueueFullException, TooLateException {
    InferRequest wanted = InferRequest.of(asked, model);
    call.reserve(InferResponses.requireFits(asked, wanted, model));
    boolean both =
        wanted.networkOutput() == Output.FLOATS && wanted.outputs().contains(InferOutput.PIXELS);
    CompletableFuture<Images> images =
        maker.images(
            model,
            wanted.latents(),
            wanted.networkOutput(),
            wanted.images(),
            call.nanosLeft(),
            both ? later : call.thread());
    call.onCancel(() -> images.cancel(false));
    call.answer(
        model,
        images.thenApply(made -> InferResponses.render(asked, wanted, model, made)),
        answer -> metrics.inferred(model, wanted.count()));
  }
}
