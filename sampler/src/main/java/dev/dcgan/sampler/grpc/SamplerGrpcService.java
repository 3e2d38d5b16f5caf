package dev.dcgan.sampler.grpc;

import dev.dcgan.sampler.core.GenerateEncoding;
import dev.dcgan.sampler.core.ImageListener;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.ModelResponses;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
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

/** The gRPC adapter of SamplerService. Thread-safe; never blocks. */
public final class SamplerGrpcService extends SamplerServiceGrpc.SamplerServiceImplBase {

  private static final GenerateEncoding ENCODING =
      new GenerateEncoding(
          format ->
              format == ImageFormat.IMAGE_FORMAT_SHEET
                  ? "request fewer, or PNG with GenerateStream"
                  : "use GenerateStream");
  // Only Generate has a stream.
  private static final GenerateEncoding ONE_RESPONSE =
      new GenerateEncoding(format -> "request fewer, in several calls");

  private final ImageService images;
  private final ModelService models;
  private final ImageListener listener;

  public SamplerGrpcService(ImageService images, ModelService models, ImageListener listener) {
    this.images = images;
    this.models = models;
    this.listener = listener;
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    generate(
        observer,
        new ModelRef(request.getModel(), request.getVersion()),
        ImageRequest.count(request),
        version -> ImageRequest.of(request, version),
        ENCODING);
  }

  @Override
  public void decode(DecodeRequest request, StreamObserver<GenerateResponse> observer) {
    generate(
        observer,
        new ModelRef(request.getModel(), request.getVersion()),
        request.getLatentsCount() / 64,
        version -> ImageRequest.of(request, version),
        ONE_RESPONSE);
  }

  @Override
  public void interpolate(InterpolateRequest request, StreamObserver<GenerateResponse> observer) {
    generate(
        observer,
        new ModelRef(request.getModel(), request.getVersion()),
        Integer.toUnsignedLong(request.getCount()),
        version -> ImageRequest.of(request, version),
        ONE_RESPONSE);
  }

  @Override
  public void generateStream(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, listener);
    call.stream(
        images.stream(
            call.context(),
            new ModelRef(request.getModel(), request.getVersion()),
            ImageRequest.count(request),
            version -> ImageRequest.of(request, version),
            ENCODING,
            call));
  }

  @Override
  public void getLatents(GetLatentsRequest request, StreamObserver<GetLatentsResponse> observer) {
    GrpcCall<GetLatentsResponse> call = new GrpcCall<>(observer, listener);
    call.respond(
        images.latents(
            call.context(),
            new ModelRef(request.getModel(), request.getVersion()),
            Integer.toUnsignedLong(request.getCount()),
            version -> ImageRequest.of(request, version)));
  }

  @Override
  public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> observer) {
    GrpcCall<ListModelsResponse> call = new GrpcCall<>(observer, listener);
    call.respond(
        models.list(
            call.context(),
            (list, skipped) ->
                ModelResponses.of(list, skipped, ResponseBudget.MAX_RESPONSE_BYTES)));
  }

  @Override
  public void getModel(GetModelRequest request, StreamObserver<ServedModel> observer) {
    GrpcCall<ServedModel> call = new GrpcCall<>(observer, listener);
    call.respond(
        models.get(
            call.context(),
            new ModelRef(request.getModel(), request.getVersion()),
            ModelResponses::of));
  }

  @Override
  public void setServingVersion(
      SetServingVersionRequest request, StreamObserver<ServedModel> observer) {
    GrpcCall<ServedModel> call = new GrpcCall<>(observer, listener);
    call.respond(
        models.setServing(
            call.context(),
            new ModelRef(request.getModel(), request.getVersion()),
            ModelResponses::of));
  }

  private void generate(
      StreamObserver<GenerateResponse> observer,
      ModelRef model,
      long count,
      ImageService.RequestParser parser,
      GenerateEncoding encoding) {
    GrpcCall<GenerateResponse> call = new GrpcCall<>(observer, listener);
    call.respondWithImages(images.generate(call.context(), model, count, parser, encoding));
  }
}
