package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.config.Augmentation;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DiffAugmentTest {

  private static final int HEIGHT = 8;
  private static final int WIDTH = 16;
  private static final ImageShape SHAPE = new ImageShape(HEIGHT, WIDTH, 3);
  private static final float MIDDLE = 0.5f; // no shift, and colors as they are

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void withoutAugmentations_imagesAreAsTheyWere() {
    float[] images = image();

    assertThat(augment(Set.of(), images, random(3, 0))).containsExactly(images);
  }

  @ParameterizedTest
  @CsvSource({"0, 0, -1, -2", "0.99, 0.99, 1, 2", "0.5, 0.7, 0, 1", "0.2, 0.5, -1, 0"})
  void translation_shiftsRowsAndColumns_andLeavesGrey(
      float vertical, float horizontal, int down, int right) {
    float[] image = image();
    float[] random = random(3, vertical);
    random[4] = horizontal;

    float[] shifted = augment(Set.of(Augmentation.TRANSLATION), image, random);

    for (int i = 0; i < image.length; i++) {
      int row = i / WIDTH % HEIGHT - down;
      int column = i % WIDTH - right;
      boolean isInside = row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH;
      assertThat(shifted[i])
          .as("value %d", i)
          .isEqualTo(isInside ? image[i - down * WIDTH - right] : 0);
    }
  }

  /** Places of the hole's middle: 0 to 8 of the rows, whose hole has 4, 0 to 16 of the columns. */
  @ParameterizedTest
  @CsvSource({"0.5, 0.5, 4, 8", "0, 0, 0, 0", "0.999, 0.999, 8, 16", "0.2, 0.8, 1, 13"})
  void cutout_ofHalfOfEachSide_isGrey_whereverItsMiddleIs(
      float vertical, float horizontal, int middleRow, int middleColumn) {
    float[] image = image();
    float[] random = random(5, vertical);
    random[6] = horizontal;

    float[] cut = augment(Set.of(Augmentation.CUTOUT), image, random);

    for (int i = 0; i < image.length; i++) {
      int row = i / WIDTH % HEIGHT - middleRow;
      int column = i % WIDTH - middleColumn;
      boolean isHole = row >= -2 && row < 2 && column >= -4 && column < 4;
      assertThat(cut[i]).as("value %d", i).isEqualTo(isHole ? 0 : image[i]);
    }
  }

  @Test
  void color_changesBrightnessSaturationAndContrast() {
    float[] image = image();
    float[] random = {0.75f, 0.25f, 0.8f, 0, 0, 0, 0};

    float[] changed = augment(Set.of(Augmentation.COLOR), image, random);

    int pixels = HEIGHT * WIDTH;
    float[] expected = new float[image.length];
    double sum = 0;
    for (int i = 0; i < image.length; i++) {
      int pixel = i % pixels;
      float grey = (image[pixel] + image[pixel + pixels] + image[pixel + 2 * pixels]) / 3 + 0.25f;
      expected[i] = (image[i] + 0.25f - grey) * 0.5f + grey;
      sum += expected[i];
    }
    float mean = (float) (sum / image.length);
    for (int i = 0; i < image.length; i++) {
      expected[i] = (expected[i] - mean) * 1.3f + mean;
    }
    assertThat(changed).usingComparatorWithPrecision(1e-5f).containsExactly(expected);
  }

  @Test
  void eachImage_hasItsOwnNumbers() {
    float[] image = image();
    float[] two = new float[2 * image.length];
    System.arraycopy(image, 0, two, 0, image.length);
    System.arraycopy(image, 0, two, image.length, image.length);
    float[] numbers = new float[2 * DiffAugment.VALUES];
    System.arraycopy(random(3, 0.1f), 0, numbers, 0, DiffAugment.VALUES);
    System.arraycopy(random(6, 0.9f), 0, numbers, DiffAugment.VALUES, DiffAugment.VALUES);

    float[] augmented = augment(EnumSet.allOf(Augmentation.class), two, numbers);

    for (int i = 0; i < 2; i++) {
      float[] alone =
          augment(
              EnumSet.allOf(Augmentation.class),
              image,
              random(i == 0 ? 3 : 6, i == 0 ? 0.1f : 0.9f));
      for (int j = 0; j < image.length; j++) {
        assertThat(augmented[i * image.length + j]).as("value %d", j).isEqualTo(alone[j]);
      }
    }
  }

  /** Shifts and holes: what is not shown has no part in the gradient. */
  @Test
  void gradient_isThatOfWhatIsShown() {
    float[] image = image();
    float[] random = random(3, 0.99f);
    Function gradient =
        Function.forward(
            List.of("images", "random"),
            """
            images_ = torch.requires_grad_(torch.detach(images[0]))
            augmented = (self).augment(images_, random[0])
            found = torch.grad([torch.sum(augmented)], [images_])
            return unchecked_cast(Tensor, found[0])""");

    float[] found =
        run(EnumSet.of(Augmentation.TRANSLATION, Augmentation.CUTOUT), gradient, image, random);

    // One row down: the last row is not shown; the hole is in rows 2 to 5, columns 4 to 11.
    for (int i = 0; i < found.length; i++) {
      int row = i / WIDTH % HEIGHT + 1;
      int column = i % WIDTH;
      boolean isHole = row >= 2 && row < 6 && column >= 4 && column < 12;
      assertThat(found[i]).as("value %d", i).isEqualTo(row == HEIGHT || isHole ? 0 : 1);
    }
  }

  /** Middle values, but for one. */
  private static float[] random(int index, float value) {
    float[] random = new float[DiffAugment.VALUES];
    Arrays.fill(random, MIDDLE);
    random[index] = value;
    return random;
  }

  private static float[] image() {
    return Latents.of(1, 0, SHAPE.values());
  }

  private float[] augment(Set<Augmentation> augmentations, float[] images, float[] random) {
    return run(
        augmentations,
        Function.forward(
            List.of("images", "random"), "return (self).augment(images[0], random[0])"),
        images,
        random);
  }

  private float[] run(
      Set<Augmentation> augmentations, Function forward, float[] images, float[] random) {
    int n = images.length / SHAPE.values();
    NDArray result =
        TorchScript.run(
            TorchScript.load(manager, List.of(DiffAugment.function(augmentations, SHAPE), forward)),
            new NDList(manager.create(images, new Shape(n, 3, HEIGHT, WIDTH))),
            new NDList(manager.create(random, new Shape(n, DiffAugment.VALUES))));
    return result.toFloatArray();
  }
}
