package dev.dcgan.trainer.net;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import dev.dcgan.trainer.net.Architecture.Layer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A transposed convolution with square kernel and bias: (n, in, h, w) to (n, out, h', w') with h' =
 * (h - 1) stride - 2 padding + kernel.
 *
 * <p>DJL's PyTorch engine has none ({@code NDArrayEx.deconvolution} throws), so this one calls
 * PyTorch through a TorchScript: its own operator's, or a faster {@link Formulation}. Gradients
 * flow through it into input, weight and bias.
 */
final class ConvTranspose2d extends AbstractBlock {

  private static final byte VERSION = 1;

  private final Layer layer;
  private final Parameter weight;
  private final Parameter bias;
  private final PtSymbolBlock script;
  private final NDList constants;

  /**
   * A block whose script lives as long as {@code manager}.
   *
   * @param side of the input, which must be what {@code formulation} is for
   */
  ConvTranspose2d(NDManager manager, Layer layer, int side, Formulation formulation) {
    super(VERSION);
    this.layer = layer;
    int kernel = layer.kernel();
    weight =
        addParameter(
            Parameter.builder()
                .setName("weight")
                .setType(Parameter.Type.WEIGHT)
                .optShape(new Shape(layer.in(), layer.out(), kernel, kernel))
                .build());
    bias =
        addParameter(
            Parameter.builder()
                .setName("bias")
                .setType(Parameter.Type.BIAS)
                .optShape(new Shape(layer.out()))
                .build());
    constants = formulation.constants(manager, layer, side);
    List<String> arguments = new ArrayList<>(List.of("x", "weight", "bias"));
    constants.forEach(constant -> arguments.add(constant.getName()));
    script = TorchScript.load(manager, arguments, formulation.source(layer, side));
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore parameters,
      NDList inputs,
      boolean training,
      @Nullable PairList<String, Object> params) {
    NDArray x = inputs.singletonOrThrow(); // (n, in, h, w)
    NDArray w = parameters.getValue(weight, x.getDevice(), training);
    NDArray b = parameters.getValue(bias, x.getDevice(), training);
    NDList arguments = new NDList(x, w, b);
    arguments.addAll(constants);
    // With false in place of true the engine would cut the gradient here, in training too.
    return IValueUtils.forward(script, arguments, true);
  }

  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    Shape in = inputShapes[0];
    return new Shape[] {
      new Shape(
          in.get(0),
          layer.out(),
          layer.outputSide((int) in.get(2)),
          layer.outputSide((int) in.get(3)))
    };
  }
}
