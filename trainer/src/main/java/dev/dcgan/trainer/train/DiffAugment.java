package dev.dcgan.trainer.train;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.config.Augmentation;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.List;
import java.util.Set;

/**
 * Differentiable augmentation of real and generated images before the discriminator sees them (Zhao
 * et al. 2020), as a TorchScript function.
 *
 * <p>Shifts are products with matrices of zeros and ones, so that their gradient, unlike that of
 * indexing, is deterministic on a GPU.
 */
final class DiffAugment {

  /** The random numbers for one image: three of color, two of translation, two of cutout. */
  static final int VALUES = 7;

  /** Real images, the fakes of the discriminator's update, those of the generator's. */
  static final int USES = 3;

  private DiffAugment() {}

  /**
   * {@code augment(images, random)}: images (n, channels, height, width), [-1, 1], of which random
   * (n, {@link #VALUES}), uniform in [0, 1), says what happens to each; images as they are without
   * augmentations.
   */
  static Function function(Set<Augmentation> augmentations, ImageShape shape) {
    StringBuilder body = new StringBuilder("u = torch.reshape(random, [-1, 7, 1, 1])\n");
    if (augmentations.contains(Augmentation.COLOR)) {
      body.append(
          """
          images = torch.add(images, torch.sub(torch.slice(u, 1, 0, 1), 0.5))
          grey = torch.mean(images, [1], True)
          images = torch.add(torch.mul(torch.sub(images, grey), torch.mul(torch.slice(u, 1, 1, 2), 2)), grey)
          mean = torch.mean(images, [1, 2, 3], True)
          images = torch.add(torch.mul(torch.sub(images, mean), torch.add(torch.slice(u, 1, 2, 3), 0.5)), mean)
          """);
    }
    if (augmentations.contains(Augmentation.TRANSLATION)) {
      body.append(indices(shape));
      body.append(
          """
          down = %s
          moving = torch.eq(torch.sub(rows, torch.reshape(rows, [1, 1, 1, %d])), down)
          images = torch.matmul(torch.to(moving, images), images)
          right = %s
          moving = torch.eq(torch.sub(columns, torch.reshape(columns, [1, 1, %d, 1])), right)
          images = torch.matmul(images, torch.to(moving, images))
          """
              .formatted(
                  shift(3, shape.height()),
                  shape.height(),
                  shift(4, shape.width()),
                  shape.width()));
    }
    if (augmentations.contains(Augmentation.CUTOUT)) {
      body.append(indices(shape));
      body.append(
          """
          above = %s
          inside = %s
          beside = %s
          hole = torch.logical_and(inside, %s)
          images = torch.mul(images, torch.rsub(torch.to(hole, images), 1))
          """
              .formatted(
                  fromMiddle("rows", 5, shape.height()),
                  inHole("above", shape.height()),
                  fromMiddle("columns", 6, shape.width()),
                  inHole("beside", shape.width())));
    }
    return Function.ofTensors("augment", List.of("images", "random"), body + "return images");
  }

  /** The indices of rows (1, 1, height, 1) and columns (1, 1, 1, width), on the images' device. */
  private static String indices(ImageShape shape) {
    return """
        rows = torch.reshape(%s, [1, 1, %d, 1])
        columns = torch.reshape(%s, [1, 1, 1, %d])
        """
        .formatted(range(shape.height()), shape.height(), range(shape.width()), shape.width());
  }

  private static String range(int n) {
    return "torch.arange(%d, dtype=6, layout=None, device=ops.prim.device(images), pin_memory=False)"
        .formatted(n);
  }

  /** A whole number from -side / 8 to side / 8. */
  private static String shift(int value, int side) {
    int most = (side + 4) / 8;
    return "torch.sub(torch.floor(torch.mul(torch.slice(u, 1, %d, %d), %d)), %d)"
        .formatted(value, value + 1, 2 * most + 1, most);
  }

  /** How far an index is from the middle of the hole, which is anywhere. */
  private static String fromMiddle(String indices, int value, int side) {
    int places = side + 1 - side / 2 % 2;
    return "torch.sub(%s, torch.floor(torch.mul(torch.slice(u, 1, %d, %d), %d)))"
        .formatted(indices, value, value + 1, places);
  }

  /** Whether it is in the hole, which is half as long as the side. */
  private static String inHole(String distance, int side) {
    int size = side / 2;
    return "torch.logical_and(torch.ge(%1$s, %2$d), torch.lt(%1$s, %3$d))"
        .formatted(distance, -(size / 2), size - size / 2);
  }
}
