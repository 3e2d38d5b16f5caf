package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClassifierTest {

  private static final ImageDataset TRAINING = new DigitsDataset(1_000, 1);
  private static final ImageDataset HELD_OUT = new DigitsDataset(500, 2);
  private static final FileTime LONG_AGO = FileTime.fromMillis(0);

  @TempDir Path cache;

  @Test
  void open_learnsToTellTheClassesApart() throws IOException {
    try (Classifier classifier = open(40)) {
      assertThat(classifier.accuracy()).isPresent();
      assertThat(classifier.accuracy().getAsDouble()).isBetween(0.9, 1.0);
      assertThat(classifier.name()).isEqualTo("classifier of digits");
    }
  }

  @Test
  void extract_givesFeaturesAndProbabilitiesOfEachImageAlone() throws IOException {
    byte[] pixels = ImageBatches.pixels(HELD_OUT, ImageBatches.permutation(500, 1), 0, 20);
    try (Classifier classifier = open(5)) {
      Features all = classifier.extract(pixels, 20, HELD_OUT.shape());
      byte[] first = new byte[7 * 784];
      System.arraycopy(pixels, 0, first, 0, first.length);
      Features seven = classifier.extract(first, 7, HELD_OUT.shape());

      assertThat(all.values().rows()).isEqualTo(20);
      assertThat(all.values().columns()).isEqualTo(128);
      Matrix probabilities = Objects.requireNonNull(all.probabilities());
      assertThat(probabilities.columns()).isEqualTo(10);
      for (int row = 0; row < 20; row++) {
        double sum = 0;
        for (int c = 0; c < 10; c++) {
          sum += probabilities.values()[row * 10 + c];
        }
        assertThat(sum).isCloseTo(1, within(1e-5));
      }
      assertThat(seven.values().values())
          .containsExactly(all.first(7).values().values(), within(1e-4f));
    }
  }

  @Test
  void open_tellsOfEachBatch() throws IOException {
    AtomicInteger calls = new AtomicInteger();

    Classifier.open(cache, TRAINING, HELD_OUT, cpu(), 5, calls::incrementAndGet).close();

    assertThat(calls).as("5 steps, 500 images by 128").hasValue(5 + 4);
  }

  @Test
  void open_whenItCannotBeKept_servesAllTheSame() throws IOException {
    Path file = Files.writeString(cache.resolve("a file"), "in the way");

    try (Classifier classifier = Classifier.open(file, TRAINING, HELD_OUT, cpu(), 5, () -> {})) {
      assertThat(classifier.accuracy()).isPresent();
    }
  }

  @Test
  void open_byAnInterruptedThread_endsWithoutTraining() {
    Thread.currentThread().interrupt();
    try {
      assertThatThrownBy(() -> open(1_000_000)).isInstanceOf(InterruptedIOException.class);
    } finally {
      assertThat(Thread.interrupted()).as("still known to the caller").isTrue();
    }
    assertThat(cache).isEmptyDirectory();
  }

  @Test
  void open_again_readsTheSameFromItsFile() throws IOException {
    Features trained = trainAndExtract();
    Path file = onlyFile();
    Files.setLastModifiedTime(file, LONG_AGO);

    Features read = trainAndExtract();

    assertThat(read).usingRecursiveComparison().isEqualTo(trained);
    assertThat(Files.getLastModifiedTime(file)).isEqualTo(LONG_AGO);
    assertThat(file.getFileName().toString()).isEqualTo(TRAINING.sha256() + "-1.safetensors");
  }

  @Test
  void open_whereTheFileIsDamaged_trainsTheSameAnew() throws IOException {
    Features trained = trainAndExtract();
    byte[] bytes = Files.readAllBytes(onlyFile());
    bytes[bytes.length - 1] ^= 1;
    Files.write(onlyFile(), bytes);

    assertThat(trainAndExtract()).usingRecursiveComparison().isEqualTo(trained);

    bytes[bytes.length - 1] ^= 1;
    assertThat(onlyFile()).hasBinaryContent(bytes);
  }

  @Test
  void open_whereTheFileIsOfOtherLabels_trainsAnew() throws IOException {
    trainAndExtract();
    byte[] before = Files.readAllBytes(onlyFile());

    try (Classifier classifier =
        Classifier.open(
            cache, new Relabelled(TRAINING, 2), new Relabelled(HELD_OUT, 2), cpu(), 3, () -> {})) {
      Features features = classifier.extract(new byte[784], 1, TRAINING.shape());

      assertThat(Objects.requireNonNull(features.probabilities()).columns()).isEqualTo(2);
      assertThat(Files.readAllBytes(onlyFile())).isNotEqualTo(before);
    }
  }

  @Test
  void open_withoutLabels_saysWhatToDo() {
    assertThatIOException()
        .isThrownBy(
            () -> Classifier.open(cache, new Relabelled(TRAINING, 0), HELD_OUT, cpu(), 3, () -> {}))
        .withMessageContaining("--features <model.onnx>");
  }

  @Test
  void open_whereHeldOutImagesHaveOtherClasses_saysBoth() {
    assertThatIOException()
        .isThrownBy(
            () -> Classifier.open(cache, TRAINING, new Relabelled(HELD_OUT, 2), cpu(), 3, () -> {}))
        .withMessageContaining("in 10 classes")
        .withMessageContaining("in 2");
  }

  @Test
  void open_onColorOfOddSize_works() throws IOException {
    ImageDataset stripes = new Stripes(64, new ImageShape(33, 50, 3));
    try (Classifier classifier = Classifier.open(cache, stripes, stripes, cpu(), 10, () -> {})) {
      assertThat(classifier.accuracy().getAsDouble()).isEqualTo(1);
    }
  }

  @Test
  void extract_ofAnotherShape_isRefused() throws IOException {
    try (Classifier classifier = open(1)) {
      assertThatThrownBy(() -> classifier.extract(new byte[12], 1, new ImageShape(2, 2, 3)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("2x2x3")
          .hasMessageContaining("28x28x1");
    }
  }

  private Classifier open(int steps) throws IOException {
    return Classifier.open(cache, TRAINING, HELD_OUT, cpu(), steps, () -> {});
  }

  private Features trainAndExtract() throws IOException {
    try (Classifier classifier = open(3)) {
      byte[] pixels = ImageBatches.pixels(HELD_OUT, ImageBatches.permutation(500, 1), 0, 20);
      return classifier.extract(pixels, 20, HELD_OUT.shape());
    }
  }

  private Path onlyFile() throws IOException {
    try (Stream<Path> files = Files.list(cache)) {
      return files.reduce((a, b) -> Path.of("several")).orElseThrow();
    }
  }

  private static TrainingDevice cpu() throws IOException {
    return TrainingDevice.select("cpu");
  }

  /** The same images, in fewer classes or none. */
  private record Relabelled(ImageDataset data, int classes) implements ImageDataset {

    @Override
    public String name() {
      return data.name();
    }

    @Override
    public ImageShape shape() {
      return data.shape();
    }

    @Override
    public int size() {
      return data.size();
    }

    @Override
    public int label(int index) {
      return classes == 0 ? -1 : data.label(index) % classes;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) throws IOException {
      data.copyPixels(index, target, offset);
    }
  }

  /** Of two classes: bright above, or bright below. */
  private record Stripes(int size, ImageShape shape) implements ImageDataset {

    @Override
    public String name() {
      return "stripes";
    }

    @Override
    public int classes() {
      return 2;
    }

    @Override
    public int label(int index) {
      return index % 2;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) {
      int half = shape.values() / 2;
      for (int i = 0; i < shape.values(); i++) {
        target[offset + i] = (byte) ((i < half) == (index % 2 == 0) ? 200 + index % 50 : index);
      }
    }
  }
}
