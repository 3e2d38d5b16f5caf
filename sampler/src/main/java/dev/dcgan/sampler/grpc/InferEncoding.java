package dev.dcgan.sampler.grpc;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Pixels;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.core.ResponseEncoding;
import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferResponse;
import dev.dcgan.v1.inference.ModelInferResponse.InferOutputTensor;
import dev.dcgan.v1.inference.ModelMetadataResponse;
import dev.dcgan.v1.inference.ModelMetadataResponse.TensorMetadata;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Encodes images and models as the Open Inference Protocol has them.
 *
 * @param id of the request, which the response repeats
 * @param outputs in the order of the request, none twice
 */
record InferEncoding(String id, List<InferOutput> outputs)
    implements ResponseEncoding<ModelInferResponse> {

  // Triton's name for a model of this kind.
  private static final String PLATFORM = "onnxruntime_onnx";
  // Names, version, shapes, and the tags of the blocks; the request's id comes on top.
  private static final long ENVELOPE_BYTES = 512;

  /**
   * What a request asks for.
   *
   * @throws RequestException INVALID: an unknown output, or one that is requested twice
   */
  static InferEncoding of(ModelInferRequest request) {
    return new InferEncoding(request.getId(), InferRequest.outputs(request.getOutputsList()));
  }

  static ModelMetadataResponse metadata(ModelStatus status) {
    ImageShape shape = ImageShape.fromProto(status.manifest().getShape());
    ModelMetadataResponse.Builder response =
        ModelMetadataResponse.newBuilder()
            .setName(status.manifest().getModel().getName())
            .setPlatform(PLATFORM)
            .addInputs(
                TensorMetadata.newBuilder()
                    .setName(InferRequest.INPUT)
                    .setDatatype(InferRequest.FP32)
                    .addAllShape(List.of(-1L, (long) status.manifest().getLatentSize())));
    if (status.manifest().getClassesCount() > 0) {
      response.addInputs(
          TensorMetadata.newBuilder()
              .setName(InferRequest.LABEL)
              .setDatatype(InferRequest.INT64)
              .addShape(-1));
    }
    for (InferOutput output : InferOutput.values()) {
      response.addOutputs(
          TensorMetadata.newBuilder()
              .setName(output.label())
              .setDatatype(output.datatype())
              .addAllShape(output.shape(-1, shape)));
    }
    if (!status.available().contains(status.serving())) {
      response.addVersions(Long.toString(status.serving())); // Removed from disk, still served.
    }
    status.available().forEach(version -> response.addVersions(Long.toString(version)));
    return response.build();
  }

  @Override
  public String label(ImageRequest request) {
    return "infer";
  }

  /** Making pixels of floats is not. */
  @Override
  public boolean isCheap(ImageRequest request) {
    return request.output() == Output.PIXELS || !outputs.contains(InferOutput.PIXELS);
  }

  @Override
  public long requireFits(ImageRequest request, ServedVersion version) {
    long each = outputs.stream().mapToLong(output -> output.imageBytes(version.shape())).sum();
    long envelope = ENVELOPE_BYTES + ByteString.copyFromUtf8(id).size();
    long room = Math.max(0, ResponseBudget.MAX_RESPONSE_BYTES - envelope);
    long max = Math.min(room / each, version.scheduler().policy().maxImagesOfCaller());
    if (request.count() > max) {
      throw RequestException.invalid(
          "inputs[0].shape",
          "%d latents exceed %d images of %s as %s in one response of at most %d bytes; request fewer"
              .formatted(
                  request.count(),
                  max,
                  version.shape(),
                  String.join(" and ", outputs.stream().map(InferOutput::label).toList()),
                  ResponseBudget.MAX_RESPONSE_BYTES));
    }
    return envelope + request.count() * each;
  }

  @Override
  public ModelInferResponse encode(
      ImageRequest request, ServedVersion version, long first, Images images) {
    ModelInferResponse.Builder response =
        ModelInferResponse.newBuilder()
            .setModelName(version.version().getName())
            .setModelVersion(Long.toString(version.version().getVersion()))
            .setId(id);
    for (InferOutput output : outputs) {
      response
          .addOutputs(
              InferOutputTensor.newBuilder()
                  .setName(output.label())
                  .setDatatype(output.datatype())
                  .addAllShape(output.shape(images.count(), version.shape())))
          .addRawOutputContents(contents(output, images, version.shape()));
    }
    return response.build();
  }

  /** Without a copy: nobody else has the array, or changes it. */
  private static ByteString contents(InferOutput output, Images images, ImageShape shape) {
    byte[] bytes = images.bytes();
    return UnsafeByteOperations.unsafeWrap(
        output == InferOutput.PIXELS && images.output() == Output.FLOATS
            ? Pixels.of(floats(bytes), shape)
            : bytes);
  }

  private static float[] floats(byte[] bytes) {
    float[] floats = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
    return floats;
  }
}
