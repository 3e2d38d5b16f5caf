package dev.dcgan.sampler.runtime;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.TensorInfo;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads the {@link Signature} of a model, or checks that of a published one against its manifest.
 */
final class OnnxSignatures {

  private static final Logger log = LoggerFactory.getLogger(OnnxSignatures.class);
  private static final String LATENT = "z";
  private static final String LABEL = "label";
  private static final int MAX_BATCH = 4096;
  private static final List<String> IMAGE_NAMES = List.of("image", "images", "output");

  private OnnxSignatures() {}

  /**
   * Reads the signature of a model file, and runs it to find its range.
   *
   * @param maxImages of the run
   * @throws InvalidModelException the model does not have one float latent as its input, or has no
   *     images as an output, or {@link OutputProbe} refuses it
   */
  static Signature read(Path onnx, int maxImages) throws IOException {
    try (SessionOptions options = OnnxRuntime.options(RuntimeSettings.cpu(1), 0)) {
      options.setOptimizationLevel(SessionOptions.OptLevel.NO_OPT);
      try (OrtSession session = OnnxRuntime.ENVIRONMENT.createSession(onnx.toString(), options)) {
        Signature signature = read(onnx, session);
        // Not closed: it only borrows the session.
        OnnxSession borrowed = new OnnxSession(session, signature);
        Signature found =
            signature.withRange(new OutputProbe(onnx, borrowed, signature, maxImages).run());
        log.info(
            "{}: latents '{}' of {} values, images '{}' of {} in {}{}{}",
            onnx,
            found.input(),
            found.latentSize(),
            found.image(),
            found.shape(),
            found.range(),
            found.range() == OutputRange.SIGNED ? "" : ", mapped to [-1, 1]",
            found.batch() == 0
                ? ""
                : ", a fixed batch size of %d: larger batches run in pieces; export it with a"
                        .formatted(found.batch())
                    + " dynamic batch size (dynamic_axes) for speed");
        return found;
      }
    } catch (OrtException e) {
      throw RuntimeFailure.cannot("open", onnx, e);
    }
  }

  /**
   * The signature of an open version: the one that a published version must have, or the model's
   * own if there is no manifest.
   *
   * @throws InvalidModelException the model has a different signature
   */
  static Signature of(ModelBundle bundle, OrtSession session)
      throws OrtException, InvalidModelException {
    return bundle.unverified()
        ? read(bundle.folder(), session)
            .withRange(OutputRange.parse(bundle.manifest().getOutputRange()))
        : check(bundle, session);
  }

  /** The dimensions of a batch of n images. */
  static long[] dimensions(int n, Output output, ImageShape shape) {
    return batchOf(n, dimensions(output, shape));
  }

  private static Signature read(Path folder, OrtSession session)
      throws OrtException, InvalidModelException {
    Map<String, NodeInfo> inputs = session.getInputInfo();
    String input = inputs.size() == 1 ? inputs.keySet().iterator().next() : "";
    requireNoLabel(folder, inputs);
    long[] latent = dimensions(inputs.get(input), OnnxJavaType.FLOAT);
    boolean fourDimensional = latent.length == 4 && latent[2] == 1 && latent[3] == 1;
    if (!(fourDimensional || latent.length == 2) || latent[1] < 1 || latent[0] > MAX_BATCH) {
      throw new InvalidModelException(
          ("cannot use %s: inputs %s; expected one, FLOAT (-1, latent) or (-1, latent, 1, 1), or a"
                  + " fixed batch size of at most 4096 instead of -1")
              .formatted(folder, tensors(inputs)));
    }
    Map<String, NodeInfo> outputs = session.getOutputInfo();
    String image = image(folder, outputs);
    long[] nchw = dimensions(outputs.get(image), OnnxJavaType.FLOAT);
    long[] hwc = {nchw[2], nchw[3], nchw[1]};
    String pixels = null;
    for (Map.Entry<String, NodeInfo> output : outputs.entrySet()) {
      long[] bytes = dimensions(output.getValue(), OnnxJavaType.UINT8);
      if (pixels == null
          && bytes.length == 4
          && Arrays.equals(hwc, Arrays.copyOfRange(bytes, 1, bytes.length))) {
        pixels = output.getKey(); // Otherwise the shape differs: not the same images.
      }
    }
    try {
      ImageShape shape = new ImageShape(side(hwc, 0), side(hwc, 1), side(hwc, 2));
      return new Signature(
          input,
          Math.toIntExact(latent[1]),
          fourDimensional,
          null,
          shape,
          image,
          pixels,
          batch(latent[0], nchw[0]),
          null);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new InvalidModelException(
          "cannot use %s: outputs %s; expected images, FLOAT (-1, channels, height, width): %s"
              .formatted(folder, tensors(outputs), e.getMessage()),
          e);
    }
  }

  /** A conditional model cannot be served without its manifest, which lists the classes. */
  private static void requireNoLabel(Path folder, Map<String, NodeInfo> inputs)
      throws InvalidModelException {
    for (NodeInfo input : inputs.values()) {
      if (inputs.size() > 1
          && input.getInfo() instanceof TensorInfo tensor
          && (tensor.type == OnnxJavaType.INT64 || tensor.type == OnnxJavaType.INT32)) {
        throw new InvalidModelException(
            "cannot use %s: inputs %s: without a manifest.json the number of classes of '%s' is not known; publish the model with the trainer"
                .formatted(folder, tensors(inputs), input.getName()));
      }
    }
  }

  /** The output with the images: the only one that may be, or the only one with a usual name. */
  private static String image(Path folder, Map<String, NodeInfo> outputs)
      throws InvalidModelException {
    List<String> found = new ArrayList<>();
    for (Map.Entry<String, NodeInfo> output : outputs.entrySet()) {
      long[] floats = dimensions(output.getValue(), OnnxJavaType.FLOAT);
      if (floats.length == 4) {
        found.add(output.getKey());
      }
    }
    if (found.size() > 1) {
      // Features have other numbers of channels.
      found.removeIf(
          name -> {
            long channels = dimensions(outputs.get(name), OnnxJavaType.FLOAT)[1];
            return channels != 1 && channels != 3;
          });
    }
    List<String> named = found.stream().filter(IMAGE_NAMES::contains).toList();
    if (found.size() == 1 || named.size() == 1) {
      return named.size() == 1 ? named.get(0) : found.get(0);
    }
    throw new InvalidModelException(
        found.isEmpty()
            ? "cannot use %s: outputs %s; expected images, FLOAT (-1, channels, height, width)"
                .formatted(folder, tensors(outputs))
            : "cannot use %s: outputs %s may all be the images; expected one of them, or exactly one of %s"
                .formatted(folder, found, IMAGE_NAMES));
  }

  /** The fixed batch size; 0: any. One of the tensors may not state it. */
  private static int batch(long input, long output) {
    return Math.toIntExact(Math.max(0, Math.max(input, output)));
  }

  private static int side(long[] dimensions, int i) {
    return Math.toIntExact(dimensions[i]);
  }

  /** The dimensions of a tensor of that type; empty if the node is none. */
  private static long[] dimensions(@Nullable NodeInfo node, OnnxJavaType type) {
    return node != null && node.getInfo() instanceof TensorInfo tensor && tensor.type == type
        ? tensor.getShape()
        : new long[0];
  }

  private static String tensors(Map<String, NodeInfo> nodes) {
    return nodes.values().stream()
        .map(
            node ->
                node.getInfo() instanceof TensorInfo tensor
                    ? "'%s' %s (%s)".formatted(node.getName(), tensor.type, join(tensor.getShape()))
                    : "'" + node.getName() + "'")
        .toList()
        .toString();
  }

  /** Checks the tensors that a published version must have. */
  private static Signature check(ModelBundle bundle, OrtSession session)
      throws OrtException, InvalidModelException {
    checkTensor(
        bundle, "input", session.getInputInfo(), LATENT, OnnxJavaType.FLOAT, bundle.latentSize());
    boolean conditional = bundle.classes().isPresent();
    if (conditional) {
      checkTensor(bundle, "input", session.getInputInfo(), LABEL, OnnxJavaType.INT64);
    }
    if (session.getNumInputs() != (conditional ? 2 : 1)) {
      throw new InvalidModelException(
          "cannot use %s: inputs %s; expected %s by its manifest"
              .formatted(
                  bundle.folder(),
                  session.getInputNames(),
                  conditional
                      ? "two, '%s' and '%s',".formatted(LATENT, LABEL)
                      : "one, '%s', for a model without classes,".formatted(LATENT)));
    }
    for (Output output : Output.values()) {
      checkTensor(
          bundle,
          "output",
          session.getOutputInfo(),
          name(output),
          output == Output.PIXELS ? OnnxJavaType.UINT8 : OnnxJavaType.FLOAT,
          dimensions(output, bundle.shape()));
    }
    return new Signature(
        LATENT,
        bundle.latentSize(),
        false,
        conditional ? LABEL : null,
        bundle.shape(),
        name(Output.FLOATS),
        name(Output.PIXELS),
        0,
        null);
  }

  private static void checkTensor(
      ModelBundle bundle,
      String kind,
      Map<String, NodeInfo> nodes,
      String name,
      OnnxJavaType type,
      long... each)
      throws InvalidModelException {
    NodeInfo node = nodes.get(name);
    String expected = "%s (%s)".formatted(type, join(batchOf(-1, each)));
    if (node == null || !(node.getInfo() instanceof TensorInfo tensor)) {
      throw new InvalidModelException(
          "cannot use %s: no %s '%s' among %s; expected %s"
              .formatted(bundle.folder(), kind, name, nodes.keySet(), expected));
    }
    if (tensor.type != type || !Arrays.equals(tensor.getShape(), batchOf(-1, each))) {
      throw new InvalidModelException(
          "cannot use %s: %s '%s' is %s (%s); expected %s by its manifest"
              .formatted(
                  bundle.folder(), kind, name, tensor.type, join(tensor.getShape()), expected));
    }
  }

  private static String name(Output output) {
    return output == Output.PIXELS ? "pixels" : "image";
  }

  private static long[] dimensions(Output output, ImageShape shape) {
    return output == Output.PIXELS
        ? new long[] {shape.height(), shape.width(), shape.channels()}
        : new long[] {shape.channels(), shape.height(), shape.width()};
  }

  private static long[] batchOf(int n, long... each) {
    long[] dimensions = new long[1 + each.length];
    dimensions[0] = n;
    System.arraycopy(each, 0, dimensions, 1, each.length);
    return dimensions;
  }

  private static String join(long... dimensions) {
    String text = Arrays.toString(dimensions);
    return text.substring(1, text.length() - 1);
  }
}
