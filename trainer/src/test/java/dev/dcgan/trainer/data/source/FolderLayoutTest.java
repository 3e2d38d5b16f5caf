package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class FolderLayoutTest {

  private final IgnoredFiles ignored = new IgnoredFiles();

  @Test
  void firstLevelFolders_areClasses() {
    ImageFiles files = of("cat/1.png", "cat/more/2.JPG", "dog/1.jpeg");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(labels(files.training())).containsExactly(0, 0, 1);
    assertThat(files.test()).isEmpty();
  }

  @Test
  void fewImagesBesideTheFolders_areLeftOut_andNamed() {
    ImageFiles files = of("cat/1.png", "dog/1.png", "stray.png");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(names(files.training())).containsExactly("cat/1.png", "dog/1.png");
    assertThat(ignored.summary()).isEqualTo("1 (beside the class folders stray.png)");
  }

  @Test
  void manyImagesBesideTheFolders_meanNoClasses_andIsSaid() {
    ImageFiles files = of("a.png", "b.png", "cat/1.png", "dog/1.png");

    assertThat(files.classes()).isEmpty();
    assertThat(files.training()).hasSize(4);
    assertThat(labels(files.training())).containsOnly(-1);
    assertThat(files.notes()).singleElement().asString().contains("2 of 4 images");
  }

  @Test
  void aLoneFolder_isPassedThrough() {
    assertThat(of("images/all/a.png", "images/all/b.png").classes()).isEmpty();
    assertThat(of("pets/cat/1.png", "pets/dog/1.png").classes()).containsExactly("cat", "dog");
  }

  @Test
  void aStrayImage_besideALoneFolder_doesNotDropTheLabels() {
    ImageFiles files = of("pets/cat/1.png", "pets/dog/1.png", "sample.png");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(ignored.summary()).contains("sample.png");
    assertThat(of("a.png", "more/1.png", "more/2.png").training()).hasSize(3);
  }

  @Test
  void trainAndTest_divideTheImages() {
    ImageFiles files =
        of("d/extra/9.png", "d/test/dog/3.png", "d/train/cat/1.png", "d/train/dog/2.png");

    assertThat(names(files.training())).containsExactly("d/train/cat/1.png", "d/train/dog/2.png");
    assertThat(names(files.test())).containsExactly("d/test/dog/3.png");
    assertThat(ignored.summary()).isEqualTo("1 (beside the training and test folders d/extra/)");
    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(labels(files.test())).containsExactly(1);
    assertThat(files.heldOutFrom()).isEqualTo("test");
  }

  @Test
  void valBesideTest_isLeftOut_andNamed() {
    assertThat(names(of("train/a.png", "val/b.png").test())).containsExactly("val/b.png");
    assertThat(names(of("test/c.png", "train/a.png", "val/b.png").test()))
        .containsExactly("test/c.png");
    assertThat(ignored.summary()).isEqualTo("1 (neither trained on nor held out val/)");
  }

  @ParameterizedTest
  @CsvSource({
    "Train, Test",
    "TRAIN, TEST",
    "training, testing",
    "training_set, test_set",
    "Training Set, Test Set",
    "TrainingSet, TestSet",
    "trainset, testset",
    "train_images, test_images",
    "seg_train, seg_test",
    "seg_train/seg_train, seg_test/seg_test",
    "train/train, test1/test1",
    "train2017, val2017",
    "train, valid",
    "train, validation",
    "Train, Val",
    "train, dev",
    "train, eval",
    "train-data, eval-data",
    "train/images, test/images",
    "data/train, data/holdout",
    "pets_train, pets_test",
    "Cats Dogs training, Cats Dogs validation",
    "train-horse-or-human, validation-horse-or-human",
  })
  void splits_inAnySpelling(String train, String test) {
    String[] names = {
      train + "/cat/1.png", train + "/dog/2.png", test + "/cat/3.png", test + "/dog/4.png"
    };
    Arrays.sort(names);

    ImageFiles files = of(names);

    assertThat(names(files.training())).containsExactly(train + "/cat/1.png", train + "/dog/2.png");
    assertThat(names(files.test())).containsExactly(test + "/cat/3.png", test + "/dog/4.png");
    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(labels(files.test())).containsExactly(0, 1);
    assertThat(ignored.count()).isZero();
  }

  @Test
  void splitsInEveryClassFolder_divideTheImages() {
    ImageFiles files = of("cat/test/1.png", "cat/train/2.png", "dog/test/3.png", "dog/train/4.png");

    assertThat(names(files.training())).containsExactly("cat/train/2.png", "dog/train/4.png");
    assertThat(labels(files.training())).containsExactly(0, 1);
    assertThat(labels(files.test())).containsExactly(0, 1);
  }

  @Test
  void train_amongOtherFolders_isAClass() {
    assertThat(of("bus/1.png", "car/1.png", "train/1.png").classes())
        .containsExactly("bus", "car", "train");
    assertThat(of("train_labels/1.png", "test_labels/1.png", "images/1.png").heldOutFrom())
        .isEmpty();
  }

  @Test
  void aFlatTestFolder_keepsTheTrainingLabels() {
    ImageFiles files = of("test/3.png", "train/cat/1.png", "train/dog/2.png");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(labels(files.training())).containsExactly(0, 1);
    assertThat(labels(files.test())).containsExactly(-1);
    assertThat(files.notes()).singleElement().asString().contains("1 held-out image");
  }

  @Test
  void aClassInTestOnly_isNone_andIsSaid() {
    ImageFiles files = of("test/cat/3.png", "test/emu/4.png", "train/cat/1.png", "train/dog/2.png");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(labels(files.test())).containsExactly(0, -1);
    assertThat(files.notes()).singleElement().asString().contains("emu");
  }

  @Test
  void shards_areNoClasses_otherNumbersAre() {
    assertThat(of("00000/img00000999.png", "00001/img00001000.png").classes()).isEmpty();
    assertThat(of("00000/00999.png", "01000/01000.png").classes()).isEmpty();
    assertThat(of("00000/00000_00000.png", "00001/00000_00000.png").classes()).hasSize(2);
    assertThat(of("0/1.png", "1/1.png").classes()).hasSize(2);
  }

  @Test
  void labelsOfDatasetJson_takePrecedence() {
    ImageFiles files =
        FolderLayout.of(
            List.of("0/a.png", "0/b.png", "1/c.png", "1/d.png", "dataset.json"),
            Map.of("0/a.png", 2, "0/b.png", 0, "1/c.png", 0),
            ignored);

    assertThat(files.classes()).containsExactly("0", "1", "2");
    assertThat(labels(files.training())).containsExactly(2, 0, 0);
    assertThat(ignored.summary()).isEqualTo("1 (without a label in dataset.json 1/d.png)");
  }

  @Test
  void theTrainersOwnFolders_areIgnored() {
    ImageFiles files =
        of(
            "cat/1.png",
            "dog/2.png",
            "models/m/1/manifest.json",
            "models/m/1/model.onnx",
            "models/m/1/samples.png",
            "runs/r/metrics.jsonl",
            "runs/r/run.json",
            "runs/r/samples/epoch-001.png");

    assertThat(files.classes()).containsExactly("cat", "dog");
    assertThat(ignored.summary()).isEqualTo("2 (output of the trainer models/m/1/, runs/r/)");
    assertThat(of("a/run.json", "a/x.png", "b/y.png").classes()).containsExactly("a", "b");
  }

  @Test
  void otherFiles_areIgnored_butNotImagesOfUnreadableFormats() {
    ImageFiles files = of("LICENSE", "a.webp", "labels.csv", "more.zip", "z.png");

    assertThat(names(files.training())).containsExactly("a.webp", "z.png");
    assertThat(ignored.summary())
        .isEqualTo("3 (not an image LICENSE, labels.csv; archive, not unpacked more.zip)");
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

  private ImageFiles of(String... names) {
    return FolderLayout.of(List.of(names), Map.of(), ignored);
  }

  private static List<String> names(List<ImageFile> files) {
    return files.stream().map(ImageFile::name).toList();
  }

  private static List<Integer> labels(List<ImageFile> files) {
    return files.stream().map(ImageFile::label).toList();
  }
}
