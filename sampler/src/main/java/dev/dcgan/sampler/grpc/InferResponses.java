package dev.dcgan.sampler.grpc;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Pixels;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.RequestException;
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

/** Models and images as the Open Inference Protocol has them. */
final class InferResponses {

  /** The name of the input. */
  static final String LATENT = "z";

  // Triton's name for a model of this kind.
  private static final String PLATFORM = "onnxruntime_onnx";
  // Names, version, shapes, and the tags of the blocks; the caller's id comes on top.
  private static final long ENVELOPE_BYTES = 512;

  private InferResponses() {}

  static ModelMetadataResponse metadata(ModelStatus status) {
    ImageShape shape = ImageShape.fromProto(status.manifest().getShape());
    ModelMetadataResponse.Builder answer =
        ModelMetadataResponse.newBuilder()
            .setName(status.manifest().getModel().getName())
            .setPlatform(PLATFORM)
            .addInputs(
                TensorMetadata.newBuilder()
                    .setName(LATENT)
                    .setDatatype("FP32")
                    .addAllShape(List.of(-1L, (long) status.manifest().getLatentSize())));
    for (InferOutput output : InferOutput.values()) {
      answer.addOutputs(
          TensorMetadata.newBuilder()
              .setName(output.label())
              .setDatatype(output.datatype())
              .addAllShape(output.shape(-1, shape)));
    }
    if (!status.available().contains(status.serving())) {
      answer.addVersions(Long.toString(status.serving())); // Gone from the disk, and served on.
    }
    status.available().forEach(version -> answer.addVersions(Long.toString(version)));
    return answer.build();
  }

  /** Whether a call that names the version, 0 for none, would be served. */
  static boolean isReady(ModelStatus status, long version) {
    return version == 0 || version == status.serving() || status.available().contains(version);
  }

  /**
   * Refuses what would not fit into one answer, or never into the queue.
   *
   * @return the most bytes that the answer takes
   */
  static long requireFits(ModelInferRequest asked, InferRequest wanted, ServedVersion model) {
    long each =
        wanted.outputs().stream().mapToLong(output -> output.imageBytes(model.shape())).sum();
    long room = ImageService.MAX_ANSWER_BYTES - ENVELOPE_BYTES - asked.getIdBytes().size();
    long most = Math.min(Math.max(0, room / each), model.scheduler().policy().maxQueueImages());
    if (wanted.count() > most) {
      throw RequestException.invalid(
          "inputs[0].shape",
          "%d latents exceed %d images of %s as %s in one answer of at most %d bytes; ask for fewer"
              .formatted(
                  wanted.count(),
                  most,
                  model.shape(),
                  String.join(" and ", wanted.outputs().stream().map(InferOutput::label).toList()),
                  ImageService.MAX_ANSWER_BYTES));
    }
    return ENVELOPE_BYTES + asked.getIdBytes().size() + wanted.count() * each;
  }

  /** The answer with the images that were made for it. */
  static ModelInferResponse render(
      ModelInferRequest asked, InferRequest wanted, ServedVersion model, Images images) {
    ModelInferResponse.Builder answer =
        ModelInferResponse.newBuilder()
            .setModelName(model.version().getName())
            .setModelVersion(Long.toString(model.version().getVersion()))
            .setId(asked.getId());
    for (InferOutput output : wanted.outputs()) {
      answer
          .addOutputs(
              InferOutputTensor.newBuilder()
                  .setName(output.label())
                  .setDatatype(output.datatype())
                  .addAllShape(output.shape(images.count(), model.shape())))
          .addRawOutputContents(contents(output, images, model.shape()));
    }
    return answer.build();
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
