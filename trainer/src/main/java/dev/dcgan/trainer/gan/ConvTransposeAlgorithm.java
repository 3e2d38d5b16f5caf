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
 * Algorithms for a transposed convolution as TorchScript, because DJL's PyTorch engine has no
 * operator for it ({@code NDArrayEx.deconvolution} throws). Their results differ by rounding only.
 *
 * <p>Each takes x (n, in, side, side), weight (in, out, kernel, kernel) and bias (out). {@link
 * #GEMM} and Toom-Cook return channels-last memory, and {@link #NATIVE_SEPARATE_BIAS} preserves it:
 * batch normalization and convolutions are fastest in that layout on a CPU.
 */
enum ConvTransposeAlgorithm {
  /** PyTorch's operator: the fastest on a GPU, and the reference for the others. */
  NATIVE {
    @Override
    String source(Layer layer, int side) {
      return "return torch.conv_transpose2d(x, weight, bias, [%1$d, %1$d], [%2$d, %2$d])"
          .formatted(layer.stride(), layer.padding());
    }
  },

  /**
   * PyTorch's operator without bias, and an addition: with a bias the operator takes a third longer
   * on the CPU, where oneDNN computes it.
   */
  NATIVE_SEPARATE_BIAS {
    @Override
    String source(Layer layer, int side) {
      return """
          y = torch.conv_transpose2d(x, weight, None, [%1$d, %1$d], [%2$d, %2$d])
          return torch.add_(y, torch.reshape(bias, [1, %3$d, 1, 1]))"""
          .formatted(layer.stride(), layer.padding(), layer.out());
    }
  },

  /** For an input of one pixel: the output is one matrix product with the kernels. */
  GEMM {
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
   * For outputs of few channels, too few for a convolution's inner loops, and a kernel of twice the
   * stride: a matrix product computes each input pixel's patch, and col2im adds the patches up, one
   * quarter of a patch (stride x stride pixels) at a time.
   */
  GEMM_COL2IM {
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
   * For stride 1: the transposed convolution is a product of two polynomials in two variables,
   * computed by evaluation and interpolation ({@link ToomCook}). For a 3x3 input and a 4x4 kernel
   * it takes 36 multiplications instead of 144.
   */
  TOOM_COOK {
    @Override
    String source(Layer layer, int side) {
      int outputSide = layer.outputSide(side);
      return """
          n = torch.size(x, 0)
          pixels = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [n, %1$d, %2$d])
          taps = torch.t(torch.reshape(weight, [%2$d * %3$d, %4$d]))
          values = torch.bmm(torch.expand(input_evaluation, [n, %5$d, %1$d]), pixels)
          factors = torch.reshape(torch.mm(kernel_evaluation, taps), [%5$d, %2$d, %3$d])
          products = torch.transpose(torch.bmm(torch.transpose(values, 0, 1), factors), 0, 1)
          y = torch.bmm(torch.expand(interpolation, [n, %5$d, %5$d]), products)
          y = torch.add_(y, bias)
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
      return List.of("input_evaluation", "kernel_evaluation", "interpolation");
    }

    @Override
    NDList constants(NDManager manager, Layer layer, int side) {
      ToomCook toomCook = new ToomCook(side, layer.kernel());
      int points = layer.outputSide(side) * layer.outputSide(side);
      NDArray inputEvaluation =
          manager.create(toomCook.firstEvaluation(), new Shape(1, points, (long) side * side));
      NDArray kernelEvaluation =
          manager.create(
              toomCook.secondEvaluation(),
              new Shape(points, (long) layer.kernel() * layer.kernel()));
      NDArray interpolation =
          manager.create(toomCook.interpolation(), new Shape(1, points, points));
      return new NDList(inputEvaluation, kernelEvaluation, interpolation);
    }
  },

  /**
   * For stride 2 and kernels of 3x3 or 4x4: {@link StridedToomCook}. For a 4x4 kernel and inputs of
   * 4x4 pixels or multiples of it, it takes 25 multiplications instead of 64.
   */
  TOOM_COOK_STRIDE_2 {
    @Override
    String source(Layer layer, int side) {
      return StridedToomCook.of(layer, side, layer.outputSide(side)).transposed(layer);
    }

    @Override
    List<String> constantNames() {
      return StridedToomCook.CONSTANTS;
    }

    @Override
    NDList constants(NDManager manager, Layer layer, int side) {
      return StridedToomCook.of(layer, side, layer.outputSide(side)).constants(manager);
    }
  };

  private static final int MAX_COL2IM_CHANNELS = 4;

  /** The function's body; its arguments are x, weight, bias and {@link #constantNames}. */
  abstract String source(Layer layer, int side);

  /** The names of the arguments after bias, which need no gradient. */
  List<String> constantNames() {
    return List.of();
  }

  /** The values of {@link #constantNames}. */
  NDList constants(NDManager manager, Layer layer, int side) {
    return new NDList();
  }

  /** The algorithm as a TorchScript function. */
  final Function function(String name, Layer layer, int side) {
    List<String> arguments = new ArrayList<>(List.of("x", "weight", "bias"));
    arguments.addAll(constantNames());
    return Function.ofTensors(name, arguments, source(layer, side));
  }

  /** The fastest algorithm on a CPU for a layer whose input is {@code side} x {@code side}. */
  static ConvTransposeAlgorithm fastestOnCpu(Layer layer, int side) {
    if (side == 1 && layer.padding() == 0) {
      return GEMM;
    }
    if (layer.stride() == 1
        && layer.padding() == 0
        && layer.outputSide(side) <= ToomCook.MAX_POINTS) {
      return TOOM_COOK;
    }
    if (layer.out() <= MAX_COL2IM_CHANNELS && layer.kernel() == 2 * layer.stride()) {
      return GEMM_COL2IM;
    }
    return StridedToomCook.pays(layer, side) ? TOOM_COOK_STRIDE_2 : NATIVE_SEPARATE_BIAS;
  }
}
