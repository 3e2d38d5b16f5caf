package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.gan.Architecture.Layer;
import java.util.List;
import org.ejml.data.DMatrixRMaj;

/**
 * Toom-Cook ({@link ToomCook}) for kernels of 3x3 or 4x4 and stride 2: convolutions, and transposed
 * convolutions, which are their transposes.
 *
 * <p>The large side of the layer is seen as blocks of 2x2 pixels. Between the blocks and the
 * pixels of the small side the kernel is one of 2x2 blocks with stride 1. The small side is cut
 * into {@code tiles} x {@code tiles} tiles of {@code tile} x {@code tile} pixels. A tile takes
 * (tile + 1)^2 products instead of 4 tile^2, for each of the four pixels of a block and each pair
 * of channels.
 *
 * <p>With a kernel of 3x3 the second pixel of a block has one tap per dimension instead of two, and
 * takes a plain product per pixel of the tile: (2 tile + 1)^2 products instead of 9 tile^2.
 *
 * @param tile pixels of a tile, per dimension
 * @param tiles tiles of the small side, per dimension
 * @param largeSide pixels of the large side, per dimension
 * @param kernel 3 or 4
 * @param padding the padding of the large side
 */
record StridedToomCook(int tile, int tiles, int largeSide, int kernel, int padding) {

  /** Pixels of a block per dimension, and blocks of the kernel per dimension. */
  private static final int TWO = 2;

  /** The names of {@link #constants}. */
  static final List<String> CONSTANTS = List.of("evaluation", "kernel_evaluation", "interpolation");

  private static final int MAX_TILES = 4; // More make the interpolation of a whole side expensive.
  private static final int MIN_CHANNELS = 64; // Fewer make it more expensive than the products.

  /**
   * The plan for a layer.
   *
   * @param smallSide the layer's input side if it is transposed, else its output side
   */
  static StridedToomCook of(Layer layer, int smallSide, int largeSide) {
    int tile = tile(smallSide);
    return new StridedToomCook(tile, smallSide / tile, largeSide, layer.kernel(), layer.padding());
  }

  /** Whether the plan for a layer is expected to be faster than PyTorch's operator on a CPU. */
  static boolean pays(Layer layer, int smallSide) {
    int tile = tile(smallSide);
    int channels = layer.kernel() == 4 ? MIN_CHANNELS : 2 * MIN_CHANNELS; // 3x3 saves less
    return layer.stride() == TWO
        && (layer.kernel() == 3 || layer.kernel() == 4)
        && Math.min(layer.in(), layer.out()) >= channels
        && tile > 1
        && smallSide / tile <= MAX_TILES;
  }

  /**
   * Larger tiles save more products, but those of images of 4x4 pixels evaluate their kernels, the
   * largest of a network, at more points, however small the batch.
   */
  private static int tile(int smallSide) {
    if (smallSide % 4 == 0 && smallSide > 4) {
      return 4;
    }
    return smallSide % 3 == 0 ? 3 : smallSide % 2 == 0 ? 2 : 1;
  }

  /** Products of a tile, per dimension. */
  private int products() {
    return kernel == 4 ? tile + 1 : 2 * tile + 1;
  }

  /** Pixels of a block that have products of their own, per dimension. */
  private int pixels() {
    return kernel == 4 ? TWO : 1;
  }

  /** Taps of the kernel for such a pixel, per dimension. */
  private int taps() {
    return kernel / pixels();
  }

  /** Rows or columns of products in which the large side takes part. */
  private int cells() {
    return tiles * products() * pixels();
  }

  /**
   * The values of {@link #CONSTANTS}: the evaluation of a tile (products^2, tile^2) and of the
   * kernel (products^2, taps^2), and the matrix (1, largeSide, cells) that computes the large side
   * from all products, in one dimension, and adds up where tiles overlap.
   */
  NDList constants(NDManager manager) {
    ToomCook toomCook = new ToomCook(tile, TWO);
    DMatrixRMaj evaluation = new DMatrixRMaj(products(), tile);
    DMatrixRMaj kernelEvaluation = new DMatrixRMaj(products(), taps());
    for (int point = 0; point <= tile; point++) {
      for (int i = 0; i < tile; i++) {
        evaluation.set(point, i, toomCook.first().get(point, i));
      }
      for (int i = 0; i < TWO; i++) {
        kernelEvaluation.set(point, i * (taps() - 1), toomCook.second().get(point, i));
      }
    }
    for (int i = 0; tile + 1 + i < products(); i++) {
      evaluation.set(tile + 1 + i, i, 1);
      kernelEvaluation.set(tile + 1 + i, 1, 1);
    }
    return new NDList(
        square(manager, evaluation),
        square(manager, kernelEvaluation),
        manager.create(interpolation(toomCook.inverse()), new Shape(1, largeSide, cells())));
  }

  private static NDArray square(NDManager manager, DMatrixRMaj matrix) {
    long rows = matrix.getNumRows();
    long columns = matrix.getNumCols();
    return manager.create(
        ToomCook.inBothDimensions(matrix), new Shape(rows * rows, columns * columns));
  }

  private float[] interpolation(DMatrixRMaj inverse) {
    float[] matrix = new float[largeSide * cells()];
    for (int row = 0; row < largeSide; row++) {
      int block = (row + padding) / TWO;
      int pixel = (row + padding) % TWO;
      for (int t = 0; t < tiles; t++) {
        int i = block - t * tile; // in the tile, whose last block is the first of the next one
        int first = row * cells() + t * products() * pixels();
        if (i < 0 || i > tile) {
          continue;
        }
        if (kernel == 3 && pixel == 1) {
          if (i < tile) {
            matrix[first + tile + 1 + i] = 1;
          }
          continue;
        }
        for (int point = 0; point <= tile; point++) {
          matrix[first + point * pixels() + pixel] = (float) inverse.get(i, point);
        }
      }
    }
    return matrix;
  }

  /** The statements of a transposed convolution of x, weight and bias. */
  String transposed(Layer layer) {
    return source(
        """
        n = torch.size(x, 0)
        pixels = torch.permute(x, [0, 2, 3, 1])
        VALUES
        products = torch.bmm(values, factors)
        cells = torch.reshape(products, [PRODUCTS, PRODUCTS, n, TILES, TILES, BLOCK, BLOCK, OUT])
        cells = torch.permute(cells, [2, 3, 0, 5, 4, 1, 6, 7])
        cells = torch.reshape(cells, [n, CELLS, CELLS * OUT])
        rows = torch.bmm(torch.expand(interpolation, [n, LARGE, CELLS]), cells)
        rows = torch.reshape(rows, [n * LARGE, CELLS, OUT])
        y = torch.bmm(torch.expand(interpolation, [n * LARGE, LARGE, CELLS]), rows)
        y = torch.add_(y, bias)
        return torch.permute(torch.reshape(y, [n, LARGE, LARGE, OUT]), [0, 3, 1, 2])"""
            .replace("VALUES", tiles == 1 ? VALUES_OF_ONE_TILE : VALUES),
        "[2, 4, 0, 3, 5, 1]",
        layer,
        layer.in(),
        layer.in(),
        pixels() * pixels() * layer.out());
  }

  private static final String VALUES_OF_ONE_TILE =
      """
      pixels = torch.reshape(pixels, [n, TILE * TILE, IN])
      values = torch.expand(torch.unsqueeze(evaluation, 0), [n, PRODUCTS * PRODUCTS, TILE * TILE])
      values = torch.transpose(torch.bmm(values, pixels), 0, 1)""";

  private static final String VALUES =
      """
      pixels = torch.reshape(pixels, [n, TILES, TILE, TILES, TILE, IN])
      pixels = torch.reshape(torch.permute(pixels, [2, 4, 0, 1, 3, 5]), [TILE * TILE, -1])
      values = torch.reshape(torch.mm(evaluation, pixels), [PRODUCTS * PRODUCTS, -1, IN])""";

  /** The statements of a convolution of x, weight and bias: the same steps, transposed. */
  String convolution(Layer layer) {
    return source(
        """
        n = torch.size(x, 0)
        distribution = torch.transpose(interpolation, 1, 2)
        pixels = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [n, LARGE, LARGE * IN])
        rows = torch.bmm(torch.expand(distribution, [n, CELLS, LARGE]), pixels)
        rows = torch.reshape(rows, [n * CELLS, LARGE, IN])
        cells = torch.bmm(torch.expand(distribution, [n * CELLS, CELLS, LARGE]), rows)
        cells = torch.reshape(cells, [n, TILES, PRODUCTS, BLOCK, TILES, PRODUCTS, BLOCK, IN])
        cells = torch.permute(cells, [2, 5, 0, 1, 4, 3, 6, 7])
        values = torch.reshape(cells, [PRODUCTS * PRODUCTS, n * TILES * TILES, -1])
        products = torch.reshape(torch.bmm(values, factors), [PRODUCTS * PRODUCTS, -1])
        y = torch.mm(torch.t(evaluation), products)
        y = torch.reshape(y, [TILE, TILE, n, TILES, TILES, OUT])
        y = torch.reshape(torch.permute(y, [2, 3, 0, 4, 1, 5]), [n, SMALL, SMALL, OUT])
        return torch.permute(torch.add(y, bias), [0, 3, 1, 2])""",
        "[2, 4, 3, 5, 1, 0]",
        layer,
        layer.out(),
        pixels() * pixels() * layer.in(),
        layer.out());
  }

  /** The evaluation of the kernel, and statements with their sizes filled in. */
  private String source(
      String statements, String order, Layer layer, int first, int factorIn, int factorOut) {
    String taps =
        """
        taps = torch.reshape(weight, [FIRST, SECOND, TAPS, BLOCK, TAPS, BLOCK])
        taps = torch.reshape(torch.permute(taps, ORDER), [TAPS * TAPS, -1])
        factors = torch.mm(kernel_evaluation, taps)
        factors = torch.reshape(factors, [PRODUCTS * PRODUCTS, FACTOR_IN, FACTOR_OUT])
        """;
    return (taps + statements)
        .replace("ORDER", order)
        .replace("FACTOR_IN", "" + factorIn)
        .replace("FACTOR_OUT", "" + factorOut)
        .replace("FIRST", "" + first)
        .replace("SECOND", "" + layer.in() * layer.out() / first)
        .replace("PRODUCTS", "" + products())
        .replace("TAPS", "" + taps())
        .replace("BLOCK", "" + pixels())
        .replace("CELLS", "" + cells())
        .replace("TILES", "" + tiles)
        .replace("TILE", "" + tile)
        .replace("LARGE", "" + largeSide)
        .replace("SMALL", "" + tile * tiles)
        .replace("OUT", "" + layer.out())
        .replace("IN", "" + layer.in());
  }
}
