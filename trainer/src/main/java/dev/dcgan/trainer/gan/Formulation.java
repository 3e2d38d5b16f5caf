package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;

/**
 * Ways to compute a transposed convolution, as TorchScript, since DJL's PyTorch engine has no
 * operator for it ({@code NDArrayEx.deconvolution} throws); their results differ by rounding alone.
 *
 * <p>Each takes x (n, in, side, side), weight (in, out, kernel, kernel) and bias (out). {@link
 * #PRODUCT} and {@link #TOOM_COOK} leave the result's channels next to each other in memory
 * ("channels last"), and {@link #BIAS_APART} keeps them so: there batch normalisation and
 * convolutions are fastest on a CPU.
 */
enum Formulation {
  /** PyTorch's own operator: on a GPU the fastest, and everywhere what the others must equal. */
  PLAIN {
    @Override
    String source(Layer layer, int side) {
      return "return torch.conv_transpose2d(x, weight, bias, [%1$d, %1$d], [%2$d, %2$d])"
          .formatted(layer.stride(), layer.padding());
    }
  },

  /**
   * PyTorch's operator without the bias, which is added afterwards: on the CPU, where oneDNN does
   * the work, the operator with bias takes a third longer.
   */
  BIAS_APART {
    @Override
    String source(Layer layer, int side) {
      return """
          y = torch.conv_transpose2d(x, weight, None, [%1$d, %1$d], [%2$d, %2$d])
          return torch.add(y, torch.reshape(bias, [1, %3$d, 1, 1]))"""
          .formatted(layer.stride(), layer.padding(), layer.out());
    }
  },

  /** The input is one pixel: the output is its product with the kernels, each tap a column. */
  PRODUCT {
    @Override
    String source(Layer layer, int side) {
      return """
          taps = torch.reshape(torch.permute(weight, [0, 2, 3, 1]), [%1$d, %3$d])
          y = torch.addmm(torch.repeat(bias, [%4$d]), torch.reshape(x, [-1, %1$d]), taps)
          return torch.permute(torch.reshape(y, [-1, %5$d, %5$d, %2$d]), [0, 3, 1, 2])"""
          .formatted(
              layer.in(),
              layer.out(),
              layer.out() * layer.kernel() * layer.kernel(),
              layer.kernel() * layer.kernel(),
              layer.kernel());
    }
  },

  /**
   * The output has few channels, too few for a convolution's inner loops, and the kernel is twice
   * the stride: one product makes every input pixel's patch, and the four quarters of the patches
   * are added where they fall, each in a cell of stride x stride pixels.
   */
  PATCHES {
    @Override
    String source(Layer layer, int side) {
      return """
          pixels = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [-1, %1$d])
          patches = torch.mm(pixels, torch.reshape(weight, [%1$d, -1]))
          patches = torch.reshape(patches, [-1, %3$d, %3$d, %2$d, 2, %4$d, 2, %4$d])
          upper, lower = torch.unbind(patches, 4)
          cells = torch.add(torch.constant_pad_nd(upper, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            torch.constant_pad_nd(lower, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]))
          left, right = torch.unbind(cells, 5)
          cells = torch.add(torch.constant_pad_nd(left, [0, 0, 0, 0, 0, 0, 0, 1]),
            torch.constant_pad_nd(right, [0, 0, 0, 0, 0, 0, 1, 0]))
          y = torch.permute(cells, [0, 3, 1, 4, 2, 5])
          y = torch.reshape(y, [-1, %2$d, %5$d, %5$d])
          y = torch.slice(torch.slice(y, 2, %6$d, %7$d), 3, %6$d, %7$d)
          return torch.add(y, torch.reshape(bias, [1, %2$d, 1, 1]))"""
          .formatted(
              layer.in(),
              layer.out(),
              side,
              layer.stride(),
              (side + 1) * layer.stride(),
              layer.padding(),
              (side + 1) * layer.stride() - layer.padding());
    }
  },

  /**
   * Stride 1: the product of two polynomials in two variables, by its values at as many points as
   * it has coefficients ({@link ToomCook}). 3x3 pixels and 4x4 taps take 36 products for 144.
   */
  TOOM_COOK {
    @Override
    String source(Layer layer, int side) {
      int outputSide = layer.outputSide(side);
      return """
          n = torch.size(x, 0)
          pixels = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [n, %1$d, %2$d])
          taps = torch.t(torch.reshape(weight, [%2$d * %3$d, %4$d]))
          values = torch.bmm(torch.expand(pixels_at, [n, %5$d, %1$d]), pixels)
          factors = torch.reshape(torch.mm(taps_at, taps), [%5$d, %2$d, %3$d])
          products = torch.transpose(torch.bmm(torch.transpose(values, 0, 1), factors), 0, 1)
          y = torch.bmm(torch.expand(coefficients, [n, %5$d, %5$d]), products)
          y = torch.add(y, bias)
          return torch.permute(torch.reshape(y, [n, %6$d, %6$d, %3$d]), [0, 3, 1, 2])"""
          .formatted(
              side * side,
              layer.in(),
              layer.out(),
              layer.kernel() * layer.kernel(),
              outputSide * outputSide,
              outputSide);
    }

    @Override
    List<String> constantNames() {
      return List.of("pixels_at", "taps_at", "coefficients");
    }

    @Override
    NDList constants(NDManager manager, Layer layer, int side) {
      ToomCook toomCook = new ToomCook(side, layer.kernel());
      int points = layer.outputSide(side) * layer.outputSide(side);
      NDArray pixelsAt =
          manager.create(toomCook.firstAt(), new Shape(1, points, (long) side * side));
      NDArray tapsAt =
          manager.create(
              toomCook.secondAt(), new Shape(points, (long) layer.kernel() * layer.kernel()));
      NDArray coefficients = manager.create(toomCook.coefficients(), new Shape(1, points, points));
      return new NDList(pixelsAt, tapsAt, coefficients);
    }
  };

  private static final int FEW_CHANNELS = 4;

  /** The function's body, of the arguments x, weight, bias and {@link #constantNames}. */
  abstract String source(Layer layer, int side);

  /** What the function takes after x, weight and bias, and is no part of the gradient. */
  List<String> constantNames() {
    return List.of();
  }

  /** The values of {@link #constantNames}. */
  NDList constants(NDManager manager, Layer layer, int side) {
    return new NDList();
  }

  /** The function as a part of a script. */
  final Function function(String name, Layer layer, int side) {
    List<String> arguments = new ArrayList<>(List.of("x", "weight", "bias"));
    arguments.addAll(constantNames());
    return Function.ofTensors(name, arguments, source(layer, side));
  }

  /** The fastest on a CPU for a layer whose input is {@code side} x {@code side}. */
  static Formulation fastestOnCpu(Layer layer, int side) {
    if (side == 1 && layer.padding() == 0) {
      return PRODUCT;
    }
    if (layer.stride() == 1
        && layer.padding() == 0
        && layer.outputSide(side) <= ToomCook.MOST_POINTS) {
      return TOOM_COOK;
    }
    return layer.out() <= FEW_CHANNELS && layer.kernel() == 2 * layer.stride()
        ? PATCHES
        : BIAS_APART;
  }
}
