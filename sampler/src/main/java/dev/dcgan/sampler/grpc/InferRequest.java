package dev.dcgan.sampler.grpc;

import com.google.protobuf.ByteString;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.LatentSource;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Priority;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.inference.InferParameter;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferRequest.InferInputTensor;
import dev.dcgan.v1.inference.ModelInferRequest.InferRequestedOutputTensor;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Parses the requests of the Open Inference Protocol. */
final class InferRequest {

  /** The name of the input. */
  static final String INPUT = "z";

  private static final String FP32 = "FP32";
  private static final Pattern VERSION = Pattern.compile("[1-9][0-9]{0,17}");
  // Parameters that ask for another response than the one that is sent.
  private static final List<String> UNSUPPORTED = List.of("shared_memory_region", "classification");

  private InferRequest() {}

  /**
   * The images that a request is for: as floats where the float output is requested, of which
   * pixels are made; else as pixels.
   *
   * @throws RequestException INVALID
   */
  static ImageRequest parse(
      ModelInferRequest request, List<InferOutput> outputs, ServedVersion version) {
    float[] latents = latents(request, version);
    return ImageRequest.withoutSeed(
        LatentSource.of(latents),
        latents.length / version.latentSize(),
        outputs.contains(InferOutput.IMAGE)
            ? ImageFormat.IMAGE_FORMAT_FLOAT
            : ImageFormat.IMAGE_FORMAT_RAW,
        1,
        1,
        Priority.NORMAL);
  }

  /** The number of a version, 0 for none. */
  static long version(String field, String version) {
    if (version.isEmpty()) {
      return 0;
    }
    if (!VERSION.matcher(version).matches()) {
      throw RequestException.invalid(
          field,
          "version '%s': expected a number above 0, or none for the one in service"
              .formatted(version));
    }
    return Long.parseLong(version);
  }

  /** The outputs of a request in its order, none twice; all if it names none. */
  static List<InferOutput> outputs(List<InferRequestedOutputTensor> requested) {
    List<InferOutput> outputs = new ArrayList<>();
    for (int i = 0; i < requested.size(); i++) {
      String field = "outputs[%d]".formatted(i);
      InferOutput output = InferOutput.of(field + ".name", requested.get(i).getName());
      if (outputs.contains(output)) {
        throw RequestException.invalid(
            field + ".name", "output '%s' is requested twice".formatted(output.label()));
      }
      requireKnown(field, requested.get(i).getParametersMap());
      outputs.add(output);
    }
    return outputs.isEmpty() ? List.of(InferOutput.values()) : List.copyOf(outputs);
  }

  private static float[] latents(ModelInferRequest request, ServedVersion model) {
    if (request.getInputsCount() != 1) {
      throw RequestException.invalid(
          "inputs", "%d inputs: expected one, %s".formatted(request.getInputsCount(), z(model)));
    }
    InferInputTensor input = request.getInputs(0);
    if (!input.getName().equals(INPUT)) {
      throw RequestException.invalid(
          "inputs[0].name", "input '%s': expected %s".formatted(input.getName(), z(model)));
    }
    if (!input.getDatatype().equals(FP32)) {
      throw RequestException.invalid(
          "inputs[0].datatype",
          "datatype '%s' of input 'z': expected %s".formatted(input.getDatatype(), FP32));
    }
    requireKnown("inputs[0]", input.getParametersMap());
    boolean raw = request.getRawInputContentsCount() > 0;
    if (raw && input.hasContents()) {
      throw RequestException.invalid(
          "raw_input_contents",
          "input 'z' has its values both in contents and in raw_input_contents: expected one");
    }
    float[] latents = raw ? rawValues(request.getRawInputContentsList()) : values(input);
    requireShape(input, latents.length, model);
    return ImageRequest.requireLatents(
        raw ? "raw_input_contents" : "inputs[0].contents", latents, model);
  }

  private static float[] rawValues(List<ByteString> contents) {
    if (contents.size() != 1 || contents.get(0).size() % Float.BYTES != 0) {
      throw RequestException.invalid(
          "raw_input_contents",
          "%d raw_input_contents of %s bytes: expected one, for input 'z', of 4 bytes a value"
              .formatted(contents.size(), contents.stream().map(ByteString::size).toList()));
    }
    float[] values = new float[contents.get(0).size() / Float.BYTES];
    contents
        .get(0)
        .asReadOnlyByteBuffer()
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(values);
    return values;
  }

  private static float[] values(InferInputTensor input) {
    float[] values = new float[input.getContents().getFp32ContentsCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = input.getContents().getFp32Contents(i);
    }
    return values;
  }

  private static void requireShape(InferInputTensor input, int values, ServedVersion model) {
    List<Long> shape = input.getShapeList();
    int size = model.latentSize();
    if (shape.size() != 2 || shape.get(0) < 1 || shape.get(1) != size) {
      throw RequestException.invalid(
          "inputs[0].shape",
          "shape %s of input 'z': expected [n, %d], n above 0".formatted(shape, size));
    }
    // By division: the product of what a caller writes may be anything.
    if (values % size != 0 || values / size != shape.get(0)) {
      throw RequestException.invalid(
          "inputs[0].shape",
          "shape %s of input 'z', but %d FP32 values: expected as many as the shape says"
              .formatted(shape, values));
    }
  }

  private static void requireKnown(String field, Map<String, InferParameter> parameters) {
    for (String name : UNSUPPORTED) {
      if (parameters.containsKey(name)) {
        throw RequestException.invalid(
            field + ".parameters", "parameter '%s' is not supported here".formatted(name));
      }
    }
  }

  private static String z(ServedVersion model) {
    return "'%s' %s [n, %d]".formatted(INPUT, FP32, model.latentSize());
  }
}
