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

  @Test
  void withPreset_usesTheClassesOfFolders_ifTheyHaveEnoughImages() throws Exception {
    images(500);

    assertThat(followed(RunConfig.getDefaultInstance()).getConditional()).isTrue();
    assertThat(followed(RunConfig.newBuilder().setConditional(false).build()).getConditional())
        .isFalse();
  }

  @Test
  void withPreset_leavesOutClasses_ofFewImages() throws Exception {
    images(499);

    RunConfig config = followed(RunConfig.getDefaultInstance());

    assertThat(config.getPreset()).isEqualTo("mnist28-fast");
    assertThat(config.getConditional()).isFalse();
  }

  private RunConfig followed(RunConfig requested) {
    RunConfig ofData = requested.toBuilder().setData(folder.toString()).build();
    return TrainingInputs.withPreset(ofData, folder, folder);
  }

  private void images(int perClass) throws IOException {
    Path image = folder.resolve("image.png");
    ImageIO.write(new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY), "png", image.toFile());
    for (String name : List.of("cat", "dog")) {
      Path classFolder = Files.createDirectory(folder.resolve(name));
      for (int i = 0; i < perClass; i++) {
        Files.copy(image, classFolder.resolve(i + ".png"));
      }
    }
    Files.delete(image);
  }
}
