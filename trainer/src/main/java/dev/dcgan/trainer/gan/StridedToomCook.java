package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.gan.Architecture.Layer;
import java.util.List;

/**
 * Toom-Cook ({@link ToomCook}) for kernels of 3x3 or 4x4 and stride 2: convolutions, and transposed
 * convolutions, which are their transposes.
 *
 * <p>The large side of the layer is seen as blocks of 2x2 pixels. Between blocks and the pixels of
 * the small side the kernel is one of 2x2 blocks with stride 1. The small side is cut into {@code
 * tiles} x {@code tiles} tiles of {@code tile} x {@code tile} pixels; a tile takes (tile + 1)^2
 * products per pair of channels and pixel of a block, instead of 4 tile^2.
 *
 * @param tile pixels of a tile, per dimension
 * @param tiles tiles of the small side, per dimension
 * @param largeSide pixels of the large side, per dimension
 * @param padding the padding of the large side
 */
record StridedToomCook(int tile, int tiles, int largeSide, int padding) {

  /** Pixels of a block per dimension, and blocks of the kernel per dimension. */
  private static final int TWO = 2;

  /** The names of {@link #constants}. */
  static final List<String> CONSTANTS = List.of("evaluation", "kernel_evaluation", "interpolation");

  private static final int MAX_TILES = 4; // More make the interpolation of a whole side expensive.
  private static final int MIN_CHANNELS = 64; // Fewer make it more expensive than the products.
  private static final int MIN_CHANNELS_OF_LARGE_TILES = 128;

  /**
   * The plan for a layer.
   *
   * @param smallSide the layer's input side if it is transposed, else its output side
   */
  static StridedToomCook of(Layer layer, int smallSide, int largeSide) {
    int tile = tile(smallSide);
    return new StridedToomCook(tile, smallSide / tile, largeSide, layer.padding());
  }

  /** Whether the plan for a layer is expected to be faster than PyTorch's operator on a CPU. */
  static boolean pays(Layer layer, int smallSide) {
    int tile = tile(smallSide);
    int channels = tile <= 4 ? MIN_CHANNELS : MIN_CHANNELS_OF_LARGE_TILES;
    return layer.stride() == TWO
        && (layer.kernel() == 3 || layer.kernel() == 4)
        && Math.min(layer.in(), layer.out()) >= channels
        && tile > 1
        && smallSide / tile <= MAX_TILES;
  }

  /**
   * The fewest products, but for images of 4x4 pixels: those have the largest kernels, which would
   * grow sixfold, and must be evaluated however small the batch.
   */
  private static int tile(int smallSide) {
    if (smallSide == 4) {
      return 2;
    }
    if (smallSide < ToomCook.MAX_POINTS) {
      return smallSide;
    }
    return smallSide % 4 == 0 ? 4 : smallSide % 3 == 0 ? 3 : smallSide % 2 == 0 ? 2 : 1;
  }

  private int points() {
    return tile + 1;
  }

  /** Rows or columns of the large side's values at the points: of all tiles, points and parities. */
  private int cells() {
    return tiles * points() * TWO;
  }

  private int smallSide() {
    return tile * tiles;
  }

  /**
   * The values of {@link #CONSTANTS}: the evaluation of a tile (points^2, tile^2), of the kernel's
   * blocks (points^2, 4), and the matrix (1, largeSide, cells) that computes the large side's
   * pixels of one dimension from all values, adding up where tiles overlap.
   */
  NDList constants(NDManager manager) {
    ToomCook toomCook = new ToomCook(tile, TWO);
    int points = points();
    float[] interpolation = new float[largeSide * cells()];
    for (int pixel = 0; pixel < largeSide; pixel++) {
      int block = (pixel + padding) / TWO;
      int parity = (pixel + padding) % TWO;
      for (int t = 0; t < tiles; t++) {
        int coefficient = block - t * tile;
        for (int p = 0; p < points && coefficient >= 0 && coefficient < points; p++) {
          interpolation[pixel * cells() + (t * points + p) * TWO + parity] =
              (float) toomCook.interpolation(coefficient, p);
        }
      }
    }
    return new NDList(
        manager.create(
            toomCook.firstEvaluation(), new Shape((long) points * points, (long) tile * tile)),
        manager.create(
            toomCook.secondEvaluation(), new Shape((long) points * points, (long) TWO * TWO)),
        manager.create(interpolation, new Shape(1, largeSide, cells())));
  }

  /** The statements of a transposed convolution of x, weight and bias. */
  String transposed(Layer layer) {
    return source(
        """
        n = torch.size(x, 0)
        pixels = torch.permute(x, [0, 2, 3, 1])
        VALUES
        products = torch.bmm(values, factors)
        cells = torch.reshape(products, [POINTS, POINTS, n, TILES, TILES, 2, 2, OUT])
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
        4 * layer.out());
  }

  private static final String VALUES_OF_ONE_TILE =
      """
      pixels = torch.reshape(pixels, [n, TILE * TILE, IN])
      values = torch.expand(torch.unsqueeze(evaluation, 0), [n, POINTS * POINTS, TILE * TILE])
      values = torch.transpose(torch.bmm(values, pixels), 0, 1)""";

  private static final String VALUES =
      """
      pixels = torch.reshape(pixels, [n, TILES, TILE, TILES, TILE, IN])
      pixels = torch.reshape(torch.permute(pixels, [2, 4, 0, 1, 3, 5]), [TILE * TILE, -1])
      values = torch.reshape(torch.mm(evaluation, pixels), [POINTS * POINTS, -1, IN])""";

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
        cells = torch.reshape(cells, [n, TILES, POINTS, 2, TILES, POINTS, 2, IN])
        cells = torch.permute(cells, [2, 5, 0, 1, 4, 3, 6, 7])
        values = torch.reshape(cells, [POINTS * POINTS, n * TILES * TILES, 4 * IN])
        products = torch.reshape(torch.bmm(values, factors), [POINTS * POINTS, -1])
        y = torch.mm(torch.t(evaluation), products)
        y = torch.reshape(y, [TILE, TILE, n, TILES, TILES, OUT])
        y = torch.reshape(torch.permute(y, [2, 3, 0, 4, 1, 5]), [n, SMALL, SMALL, OUT])
        return torch.permute(torch.add(y, bias), [0, 3, 1, 2])""",
        "[2, 4, 3, 5, 1, 0]",
        layer,
        layer.out(),
        4 * layer.in(),
        layer.out());
  }

  /** The evaluation of the kernel, and statements with their sizes filled in. */
  private String source(
      String statements, String order, Layer layer, int first, int factorIn, int factorOut) {
    String taps =
        """
        taps = torch.reshape(KERNEL, [FIRST, SECOND, 2, 2, 2, 2])
        taps = torch.reshape(torch.permute(taps, ORDER), [4, -1])
        factors = torch.mm(kernel_evaluation, taps)
        factors = torch.reshape(factors, [POINTS * POINTS, FACTOR_IN, FACTOR_OUT])
        """;
    return (taps + statements)
        .replace(
            "KERNEL",
            layer.kernel() == 4 ? "weight" : "torch.constant_pad_nd(weight, [0, 1, 0, 1])")
        .replace("ORDER", order)
        .replace("FACTOR_IN", "" + factorIn)
        .replace("FACTOR_OUT", "" + factorOut)
        .replace("FIRST", "" + first)
        .replace("SECOND", "" + layer.in() * layer.out() / first)
        .replace("POINTS", "" + points())
        .replace("CELLS", "" + cells())
        .replace("TILES", "" + tiles)
        .replace("TILE", "" + tile)
        .replace("LARGE", "" + largeSide)
        .replace("SMALL", "" + smallSide())
        .replace("OUT", "" + layer.out())
        .replace("IN", "" + layer.in());
  }
}
