package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.core.ImageListener;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.RequestException;
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
import java.util.function.BooleanSupplier;

/**
 * The gRPC adapter of the Open Inference Protocol, for clients that know Triton or KServe: the same
 * models, through the same queue. Thread-safe; never blocks.
 */
public final class InferenceGrpcService
    extends GRPCInferenceServiceGrpc.GRPCInferenceServiceImplBase {

  private static final String NAME = "dcgan-sampler";

  private final ImageService images;
  private final ModelService models;
  private final ImageListener listener;
  private final BooleanSupplier live;
  private final BooleanSupplier ready;

  /**
   * The service.
   *
   * @param live whether this process can serve, now or later
   * @param ready whether requests should be sent here
   */
  public InferenceGrpcService(
      ImageService images,
      ModelService models,
      ImageListener listener,
      BooleanSupplier live,
      BooleanSupplier ready) {
    this.images = images;
    this.models = models;
    this.listener = listener;
    this.live = live;
    this.ready = ready;
  }

  @Override
  public void serverLive(ServerLiveRequest request, StreamObserver<ServerLiveResponse> observer) {
    call(observer).respond(ServerLiveResponse.newBuilder().setLive(live.getAsBoolean()).build());
  }

  @Override
  public void serverReady(
      ServerReadyRequest request, StreamObserver<ServerReadyResponse> observer) {
    call(observer).respond(ServerReadyResponse.newBuilder().setReady(ready.getAsBoolean()).build());
  }

  @Override
  public void modelReady(ModelReadyRequest request, StreamObserver<ModelReadyResponse> observer) {
    GrpcCall<ModelReadyResponse> call = call(observer);
    try {
      long version = InferRequest.version("version", request.getVersion());
      boolean isReady = models.isReady(new ModelRef(request.getName(), version));
      call.respond(ModelReadyResponse.newBuilder().setReady(isReady).build());
    } catch (RequestException e) {
      call.fail(e);
    }
  }

  @Override
  public void serverMetadata(
      ServerMetadataRequest request, StreamObserver<ServerMetadataResponse> observer) {
    // The jar's, as the build wrote it into the manifest.
    String version = InferenceGrpcService.class.getPackage().getImplementationVersion();
    call(observer)
        .respond(
            ServerMetadataResponse.newBuilder()
                .setName(NAME)
                .setVersion(version == null ? "(not packaged)" : version)
                .build());
  }

  @Override
  public void modelMetadata(
      ModelMetadataRequest request, StreamObserver<ModelMetadataResponse> observer) {
    GrpcCall<ModelMetadataResponse> call = call(observer);
    try {
      long version = InferRequest.version("version", request.getVersion());
      ModelRef model = new ModelRef(request.getName(), version);
      call.respond(models.get(call.context(), model, InferEncoding::metadata));
    } catch (RequestException e) {
      call.fail(e);
    }
  }

  @Override
  public void modelInfer(ModelInferRequest request, StreamObserver<ModelInferResponse> observer) {
    GrpcCall<ModelInferResponse> call = call(observer);
    try {
      long version = InferRequest.version("model_version", request.getModelVersion());
      InferEncoding encoding = InferEncoding.of(request);
      call.respondWithImages(
          images.generate(
              call.context(),
              new ModelRef(request.getModelName(), version),
              request.getSerializedSize() / (64 * Float.BYTES),
              served -> InferRequest.parse(request, encoding.outputs(), served),
              encoding));
    } catch (RequestException e) {
      call.fail(e);
    }
  }

  private <T extends com.google.protobuf.MessageLite> GrpcCall<T> call(StreamObserver<T> observer) {
    return new GrpcCall<>(observer, listener);
  }
}
