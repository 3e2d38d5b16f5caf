package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

final class ImageFilesTest {

  @Test
  void firstLevelFolders_areClasses() {
    ImageFiles files = of("cat/1.png", "cat/more/2.JPG", "dog/1.jpeg");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(files.training().stream().map(files::label)).containsExactly(0, 0, 1);
    assertThat(files.test()).isEmpty();
  }

  @Test
  void imagesBesideTheFolders_meanNoClasses() {
    ImageFiles files = of("cat/1.png", "dog/1.png", "stray.png");

    assertThat(files.classes()).isEmpty();
    assertThat(files.training()).hasSize(3);
    assertThat(files.label("cat/1.png")).isEqualTo(-1);
  }

  @Test
  void aLoneFolder_isPassedThrough() {
    assertThat(of("images/all/a.png", "images/all/b.png").classes()).isEmpty();
    assertThat(of("pets/cat/1.png", "pets/dog/1.png").classes()).containsExactly("cat", "dog");
  }

  @Test
  void trainAndTest_divideTheImages() {
    ImageFiles files =
        of("d/extra/9.png", "d/test/dog/3.png", "d/train/cat/1.png", "d/train/dog/2.png");

    assertThat(files.training()).containsExactly("d/train/cat/1.png", "d/train/dog/2.png");
    assertThat(files.test()).containsExactly("d/test/dog/3.png");
    assertThat(files.skipped()).containsExactly("d/extra/9.png");
    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(files.label("d/test/dog/3.png")).isEqualTo(1);
  }

  @Test
  void trainAndVal_divideTheImages_whereThereIsNoTest() {
    assertThat(of("train/a.png", "val/b.png").test()).containsExactly("val/b.png");
    assertThat(of("test/c.png", "train/a.png", "val/b.png").test()).containsExactly("test/c.png");
  }

  @Test
  void train_amongOtherFolders_isAClass() {
    assertThat(of("bus/1.png", "car/1.png", "train/1.png").classes())
        .containsExactly("bus", "car", "train");
  }

  @Test
  void otherFiles_areSkipped_butNotImagesOfUnreadableFormats() {
    ImageFiles files = of("LICENSE", "a.webp", "labels.csv", "z.png");

    assertThat(files.training()).containsExactly("a.webp", "z.png");
    assertThat(files.skipped()).containsExactly("LICENSE", "labels.csv");
  }

  @Test
  void noFiles_areNoImages() {
    assertThat(of().training()).isEmpty();
  }

  @Test
  void some_ofManyNames_saysHowManyMore() {
    assertThat(ImageFiles.summarize(List.of("a", "b", "c"), 2)).isEqualTo("a, b, and 1 more");
    assertThat(ImageFiles.summarize(List.of("a", "b"), 2)).isEqualTo("a, b");
  }

  private static ImageFiles of(String... names) {
    return ImageFiles.of(List.of(names));
  }
}
