package dev.dcgan.trainer.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.RunConfig;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingInputsTest {

  @TempDir private Path folder;

  /** Of 1,112 images 111 are held out, so that 1,001 are trained on. */
  @Test
  void withPreset_usesTheClassesOfFolders_ifTheyHaveEnoughTrainingImages() throws Exception {
    images(folder, 556);

    RunConfig config = followed(RunConfig.getDefaultInstance());

    assertThat(config.getConditional()).isTrue();
    assertThat(config.getEpochs()).as("for 9,375 steps in batches of 32").isEqualTo(300);
    assertThat(followed(RunConfig.newBuilder().setHeldOut(0.2f).build()).getConditional())
        .isFalse();
    assertThat(followed(RunConfig.newBuilder().setConditional(false).build()).getConditional())
        .isFalse();
  }

  @Test
  void withPreset_leavesOutClasses_ofFewTrainingImages() throws Exception {
    images(folder, 555);

    RunConfig config = followed(RunConfig.getDefaultInstance());

    assertThat(config.getPreset()).isEqualTo("mnist28-fast");
    assertThat(config.getConditional()).isFalse();
    assertThat(followed(RunConfig.newBuilder().setHeldOut(0).build()).getConditional()).isTrue();
  }

  @Test
  void withPreset_ofADatasetWithATestSplit_holdsOutNoOtherImages() throws Exception {
    images(folder.resolve("train"), 500);
    images(folder.resolve("test"), 1);

    assertThat(followed(RunConfig.getDefaultInstance()).getConditional()).isTrue();
  }

  private RunConfig followed(RunConfig requested) {
    RunConfig ofData = requested.toBuilder().setData(folder.toString()).build();
    return TrainingInputs.withPreset(ofData, folder, folder);
  }

  private void images(Path parent, int perClass) throws IOException {
    Path image = folder.resolve("image.png");
    ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY), "png", image.toFile());
    for (String name : List.of("cat", "dog")) {
      Path classFolder = Files.createDirectories(parent.resolve(name));
      for (int i = 0; i < perClass; i++) {
        Files.copy(image, classFolder.resolve(i + ".png"));
      }
    }
    Files.delete(image);
  }
}
