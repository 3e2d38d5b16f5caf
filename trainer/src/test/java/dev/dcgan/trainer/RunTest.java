package dev.dcgan.trainer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.train.Checkpoint;
import dev.dcgan.trainer.train.CheckpointFile;
import dev.dcgan.trainer.train.Hyperparameters;
import dev.dcgan.trainer.train.TrainingDevice;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunTest {

  private static final int BATCH = 16;
  private static final int IMAGES = 2 * BATCH;

  private final PrometheusRegistry registry = new PrometheusRegistry();

  @TempDir private Path folder;

  @Test
  void train_leavesSamples_theNewestTwoCheckpoints_andRealBesideGenerated() throws IOException {
    Checkpoint last = train(3, new Grey(Integer.MAX_VALUE), () -> false);

    assertThat(names("samples")).containsExactly("epoch-001.png", "epoch-002.png", "epoch-003.png");
    assertThat(names("checkpoints"))
        .containsExactly("step-00000004.safetensors", "step-00000006.safetensors");
    assertThat(CheckpointFile.read(folder.resolve("checkpoints/step-00000006.safetensors")))
        .usingRecursiveComparison()
        .isEqualTo(last);
    BufferedImage sheet = ImageIO.read(folder.resolve("samples/epoch-003.png").toFile());
    BufferedImage both = ImageIO.read(folder.resolve("real-vs-generated.png").toFile());
    assertThat(sheet.getWidth()).isEqualTo(sheet.getHeight()).isGreaterThan(5 * 28);
    assertThat(both.getHeight()).isEqualTo(sheet.getHeight());
    // The real ones, all grey, are on the left.
    assertThat(both.getRGB(10, 10)).isEqualTo(0xFF808080);
    assertThat(both.getWidth()).isGreaterThan(2 * sheet.getWidth());
  }

  @Test
  void train_showsInTheMetricsHowFarItIs() throws IOException {
    train(3, new Grey(Integer.MAX_VALUE), () -> false);

    ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrometheusTextFormatWriter.builder().build().write(text, registry.scrape());
    assertThat(text.toString(StandardCharsets.UTF_8))
        .contains(
            "trainer_epoch 3.0\n",
            "trainer_steps_total 6.0\n",
            "trainer_images_total 96.0\n",
            "trainer_step_seconds_count 6\n",
            "trainer_discriminator_loss 0.69",
            "trainer_generator_loss 0.67",
            "trainer_real_score 0.5",
            "trainer_fake_score 0.5");
  }

  @Test
  void train_whenThePicturesTurnNaN_namesTheLastGoodCheckpoint() throws IOException {
    assertThatIOException()
        .isThrownBy(() -> train(3, new Grey(2 * IMAGES), () -> false))
        .withMessageStartingWith("the discriminator's loss is not finite at epoch 3, step 5: ")
        .withMessageEndingWith(
            "; the last good checkpoint is "
                + folder.resolve("checkpoints/step-00000004.safetensors"));
    assertThat(CheckpointFile.read(folder.resolve("checkpoints/step-00000004.safetensors")).epoch())
        .isEqualTo(2);
  }

  @Test
  void train_whenNoEpochWasDone_saysThatThereIsNoCheckpoint() {
    assertThatIOException()
        .isThrownBy(() -> train(3, new Grey(3), () -> false))
        .withMessageEndingWith("; no epoch was completed, so there is no checkpoint");
  }

  @Test
  void train_whenAskedToStop_keepsACheckpointOfTheStep() throws IOException {
    Checkpoint last = train(3, new Grey(Integer.MAX_VALUE), () -> true);

    assertThat(last.step()).isEqualTo(1);
    assertThat(names("checkpoints")).containsExactly("step-00000001.safetensors");
    assertThat(folder.resolve("real-vs-generated.png")).doesNotExist();
  }

  @Test
  void train_whenTheSheetCannotBeWritten_hasKeptTheCheckpoint() throws IOException {
    Files.createDirectories(folder.resolve("samples/epoch-001.png/in the way"));

    assertThatIOException()
        .isThrownBy(() -> train(3, new Grey(Integer.MAX_VALUE), () -> false))
        .withMessageContaining("epoch-001.png");
    assertThat(names("checkpoints")).containsExactly("step-00000002.safetensors");
  }

  private Checkpoint train(int epochs, ImageDataset data, BooleanSupplier stopRequested)
      throws IOException {
    Run run =
        new Run(
            folder,
            data,
            new TrainerMetrics(registry),
            new ConsoleProgress(epochs, IMAGES / BATCH, false),
            stopRequested);
    return run.train(
        Architecture.mnist28(8, 4),
        new Hyperparameters(epochs, BATCH, 2e-4f, 0.5f, 0.999f, 1),
        TrainingDevice.select("cpu"));
  }

  private List<String> names(String subfolder) throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve(subfolder))) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** Pictures all grey; after so many have been trained on, NaN. */
  private static final class Grey implements ImageDataset {

    private int good;

    Grey(int good) {
      this.good = good;
    }

    @Override
    public String name() {
      return "grey";
    }

    @Override
    public ImageShape shape() {
      return new ImageShape(28, 28, 1);
    }

    @Override
    public int size() {
      return IMAGES;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) {
      for (int i = 0; i < shape().values(); i++) {
        target[offset + i] = (byte) 0x80;
      }
    }

    @Override
    public void copyNormalised(int index, float[] target, int offset) throws IOException {
      ImageDataset.super.copyNormalised(index, target, offset);
      if (good-- <= 0) {
        target[offset] = Float.NaN;
      }
    }
  }
}
