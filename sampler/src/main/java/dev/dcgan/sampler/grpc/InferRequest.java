package dev.dcgan.sampler.grpc;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.LabelSource;
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

  /** The name of the second input of a model with classes. */
  static final String LABEL = "label";

  static final String FP32 = "FP32";
  static final String INT64 = "INT64";
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
    requireInputs(request, version);
    float[] latents = latents(request, version);
    int count = latents.length / version.latentSize();
    return ImageRequest.withoutSeed(
        LatentSource.of(latents),
        labels(request, count, version),
        count,
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

  /** Requires each input once, in any order, and all values in the same field. */
  private static void requireInputs(ModelInferRequest request, ServedVersion model) {
    int expected = model.classes().isPresent() ? 2 : 1;
    int inputs = request.getInputsCount();
    if (inputs != expected) {
      throw RequestException.invalid(
          "inputs", "%d inputs: expected %s".formatted(inputs, inputs(model)));
    }
    for (int i = 0; i < inputs; i++) {
      InferInputTensor input = request.getInputs(i);
      String name = input.getName();
      boolean isLabel = expected == 2 && name.equals(LABEL);
      if (!name.equals(INPUT) && !isLabel) {
        throw RequestException.invalid(
            "inputs[%d].name".formatted(i),
            "input '%s': expected %s".formatted(name, tensors(model)));
      }
      if (i > 0 && name.equals(request.getInputs(0).getName())) {
        throw RequestException.invalid(
            "inputs[%d].name".formatted(i),
            "input '%s' is there twice: expected %s".formatted(name, tensors(model)));
      }
      String datatype = isLabel ? INT64 : FP32;
      if (!input.getDatatype().equals(datatype)) {
        throw RequestException.invalid(
            "inputs[%d].datatype".formatted(i),
            "datatype '%s' of input '%s': expected %s"
                .formatted(input.getDatatype(), name, datatype));
      }
      requireKnown("inputs[%d]".formatted(i), input.getParametersMap());
      if (isRaw(request) && input.hasContents()) {
        throw RequestException.invalid(
            "raw_input_contents",
            "input '%s' has its values both in contents and in raw_input_contents: expected one"
                .formatted(name));
      }
    }
    requireRawSizes(request);
  }

  /** Raw contents are in the order of the inputs. */
  private static void requireRawSizes(ModelInferRequest request) {
    List<ByteString> contents = request.getRawInputContentsList();
    if (contents.isEmpty()) {
      return;
    }
    boolean wrong = contents.size() != request.getInputsCount();
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < request.getInputsCount(); i++) {
      String name = request.getInputs(i).getName();
      int bytes = name.equals(LABEL) ? Long.BYTES : Float.BYTES;
      expected.add("for input '%s', of %d bytes a value".formatted(name, bytes));
      wrong = wrong || contents.get(i).size() % bytes != 0;
    }
    if (wrong) {
      throw RequestException.invalid(
          "raw_input_contents",
          "%d raw_input_contents of %s bytes: expected one, %s"
              .formatted(
                  contents.size(),
                  contents.stream().map(ByteString::size).toList(),
                  String.join(", and one, ", expected)));
    }
  }

  private static float[] latents(ModelInferRequest request, ServedVersion model) {
    int at = indexOf(request, INPUT);
    InferInputTensor input = request.getInputs(at);
    boolean raw = isRaw(request);
    float[] latents = raw ? floats(request.getRawInputContents(at)) : floats(input);
    requireShape(at, input, latents.length, model);
    return ImageRequest.requireLatents(
        raw ? "raw_input_contents" : "inputs[%d].contents".formatted(at), latents, model);
  }

  /** Labels and mixtures: see {@link Labels#mixture}. */
  private static LabelSource labels(ModelInferRequest request, int count, ServedVersion model) {
    if (model.classes().isEmpty()) {
      return LabelSource.NONE;
    }
    int at = indexOf(request, LABEL);
    InferInputTensor input = request.getInputs(at);
    long[] labels =
        isRaw(request)
            ? longs(request.getRawInputContents(at))
            : input.getContents().getInt64ContentsList().stream()
                .mapToLong(Long::longValue)
                .toArray();
    if (!input.getShapeList().equals(List.of((long) count)) || labels.length != count) {
      throw RequestException.invalid(
          "inputs[%d].shape".formatted(at),
          "shape %s of input '%s', and %d INT64 values: expected [%d], a label for each latent"
              .formatted(input.getShapeList(), LABEL, labels.length, count));
    }
    long classes = model.classes().get().size();
    long end = classes * classes * Labels.MIXTURE_STEPS;
    for (int i = 0; i < count; i++) {
      if (labels[i] < 0 || labels[i] >= end) {
        throw RequestException.invalid(
            isRaw(request) ? "raw_input_contents" : "inputs[%d].contents".formatted(at),
            "label %d of latent %d: expected 0 to %d, one of the classes %s; or a mixture, below %d"
                .formatted(labels[i], i, classes - 1, model.classes().get(), end));
      }
    }
    return LabelSource.of(labels);
  }

  private static boolean isRaw(ModelInferRequest request) {
    return request.getRawInputContentsCount() > 0;
  }

  private static int indexOf(ModelInferRequest request, String name) {
    return request.getInputs(0).getName().equals(name) ? 0 : 1;
  }

  private static float[] floats(ByteString contents) {
    float[] values = new float[contents.size() / Float.BYTES];
    contents.asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  private static long[] longs(ByteString contents) {
    long[] values = new long[contents.size() / Long.BYTES];
    contents.asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().get(values);
    return values;
  }

  private static float[] floats(InferInputTensor input) {
    float[] values = new float[input.getContents().getFp32ContentsCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = input.getContents().getFp32Contents(i);
    }
    return values;
  }

  private static void requireShape(
      int at, InferInputTensor input, int values, ServedVersion model) {
    List<Long> shape = input.getShapeList();
    int size = model.latentSize();
    if (shape.size() != 2 || shape.get(0) < 1 || shape.get(1) != size) {
      throw RequestException.invalid(
          "inputs[%d].shape".formatted(at),
          "shape %s of input 'z': expected [n, %d], n above 0".formatted(shape, size));
    }
    // By division: the product of what a caller writes may be anything.
    if (values % size != 0 || values / size != shape.get(0)) {
      throw RequestException.invalid(
          "inputs[%d].shape".formatted(at),
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

  /** For messages: how many inputs, and which. */
  private static String inputs(ServedVersion model) {
    return (model.classes().isPresent() ? "two, " : "one, ") + tensors(model);
  }

  private static String tensors(ServedVersion model) {
    String z = "'%s' %s [n, %d]".formatted(INPUT, FP32, model.latentSize());
    return model.classes().isPresent() ? "%s and '%s' %s [n]".formatted(z, LABEL, INT64) : z;
  }
}
