package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

final class DatasetsTest {

  private static final ImageShape GREY = new ImageShape(2, 2, 1);
  private static final ImageShape COLOR = new ImageShape(2, 2, 3);
  private static final DatasetOptions DEFAULTS = DatasetOptions.defaults();
  private static final DatasetOptions ALL = heldOut(0);

  @TempDir private Path temporary;

  private Path folder;

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createDirectory(temporary.resolve("pets"));
  }

  // Folders of images

  @Test
  void aFolder_isReadInTheOrderOfItsPaths_withClasses() throws IOException {
    grey("dog/b.png", 3);
    grey("dog/Z/a.png", 2);
    grey("cat/x.png", 1);
    write("cat/notes.txt", "no image".getBytes(StandardCharsets.UTF_8));
    write(".hidden/y.png", new byte[1]);

    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(values(images.training())).containsExactly(1, 2, 3);
      assertThat(images.training().name()).isEqualTo("pets");
      assertThat(images.training().shape()).isEqualTo(GREY);
      assertThat(images.training().classes()).isEqualTo(2);
      assertThat(labels(images.training())).containsExactly(0, 1, 1);
    }
  }

  @Test
  void onProgress_isCalledForEachImage_alsoUnreadableOnes() throws IOException {
    greys(3);
    write("000b.png", "<html>".getBytes(StandardCharsets.UTF_8));
    AtomicInteger calls = new AtomicInteger();

    Datasets.open(folder, GREY, unreadable(1), calls::incrementAndGet).close();

    assertThat(calls).hasValue(4);
  }

  @Test
  void aFlatFolder_hasNoClasses() throws IOException {
    grey("a.png", 1);

    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(images.training().classes()).isZero();
      assertThat(labels(images.training())).containsExactly(-1);
    }
  }

  @Test
  void images_areResizedAndCropped() throws IOException {
    BufferedImage wide = new BufferedImage(80, 40, BufferedImage.TYPE_3BYTE_BGR);
    for (int i = 0; i < 80 * 40; i++) {
      // Only the middle, 20 to 59, is green.
      wide.setRGB(i % 80, i / 80, i % 80 < 20 || i % 80 >= 60 ? 0xFF0000 : 0x00C800);
    }
    write("wide.png", wide);

    try (DatasetSplit images = Datasets.open(folder, COLOR, ALL, () -> {})) {
      assertThat(pixels(images.training(), 0))
          .containsExactly(0, 200, 0, 0, 200, 0, 0, 200, 0, 0, 200, 0);
    }
  }

  @Test
  void imagesTurnedUpright_areCountedInTheLog() throws IOException {
    grey("a.png", 1);
    Path stored = write("b.jpg", new byte[0]);
    try (OutputStream out = Files.newOutputStream(stored)) {
      assertThat(ImageIO.write(new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY), "jpeg", out))
          .isTrue();
    }
    String jpeg = Files.readString(stored, StandardCharsets.ISO_8859_1);
    String exif = "Exif\0\0MM\0*\0\0\0\b\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
    String segment = "\u00FF\u00E1\0" + (char) (exif.length() + 2) + exif;
    Files.writeString(
        stored, jpeg.substring(0, 2) + segment + jpeg.substring(2), StandardCharsets.ISO_8859_1);

    assertThat(logged(() -> Datasets.open(folder, GREY, ALL, () -> {}).close()))
        .singleElement()
        .asString()
        .contains("images=2", "colors=grey rotated=1 unreadable=0");
  }

  @Test
  void everyKthImage_isHeldOut() throws IOException {
    greys(11);

    try (DatasetSplit images = Datasets.open(folder, GREY, heldOut(0.25), () -> {})) {
      assertThat(images.disjoint()).isTrue();
      assertThat(values(images.training())).containsExactly(0, 1, 2, 4, 5, 6, 8, 9, 10);
      assertThat(values(images.heldOut())).containsExactly(3, 7);
    }
  }

  @Test
  void withNothingToHoldOut_theTrainingImagesServe() throws IOException {
    greys(9);

    for (double fraction : new double[] {0, 0.1}) {
      try (DatasetSplit images = Datasets.open(folder, GREY, heldOut(fraction), () -> {})) {
        assertThat(images.disjoint()).isFalse();
        assertThat(images.training().size()).isEqualTo(9);
        assertThat(images.heldOut()).isSameAs(images.training());
      }
    }
  }

  @Test
  void foldersTrainAndTest_areTrainingAndHeldOut() throws IOException {
    grey("train/cat/1.png", 1);
    grey("train/dog/2.png", 2);
    grey("test/dog/3.png", 3);

    try (DatasetSplit images = Datasets.open(folder, GREY, DEFAULTS, () -> {})) {
      assertThat(images.disjoint()).isTrue();
      assertThat(values(images.training())).containsExactly(1, 2);
      assertThat(values(images.heldOut())).containsExactly(3);
      assertThat(labels(images.training())).containsExactly(0, 1);
      assertThat(labels(images.heldOut())).containsExactly(1);
    }
  }

  @Test
  void aFlatTestFolder_isHeldOut_withoutLabels() throws IOException {
    grey("Train/cat/1.png", 1);
    grey("Train/dog/2.png", 2);
    grey("Test/3.png", 3);

    try (DatasetSplit images = Datasets.open(folder, GREY, DEFAULTS, () -> {})) {
      assertThat(images.training().classes()).isEqualTo(2);
      assertThat(labels(images.training())).containsExactly(0, 1);
      assertThat(values(images.heldOut())).containsExactly(3);
      assertThat(labels(images.heldOut())).containsExactly(-1);
    }
  }

  @Test
  void datasetJson_hasTheLabels_inAFolderAndAZip() throws IOException {
    grey("00000/img00000000.png", 1);
    grey("00000/img00000001.png", 2);
    write(
        "dataset.json",
        "{\"labels\": [[\"00000/img00000000.png\", 1], [\"00000/img00000001.png\", [1, 0]]]}"
            .getBytes(StandardCharsets.UTF_8));

    for (Path data : List.of(folder, zip("pets.zip", ""))) {
      try (DatasetSplit images = Datasets.open(data, GREY, ALL, () -> {})) {
        assertThat(labels(images.training())).containsExactly(1, 0);
        assertThat(images.training().classes()).isEqualTo(2);
      }
    }
    write("dataset.json", "{\"labels\": null}".getBytes(StandardCharsets.UTF_8));
    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(images.training().classes()).isZero();
    }
    Path json = write("dataset.json", "{\"labels\": [1]}".getBytes(StandardCharsets.UTF_8));
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContainingAll(json.toString(), "expected {\"labels\"");
  }

  @Test
  void aRenamedFolder_hasTheSameDigest() throws IOException {
    greys(3);
    String digest;
    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      digest = images.training().sha256();
    }
    Path renamed = Files.move(folder, temporary.resolve("renamed"));

    try (DatasetSplit images = Datasets.open(renamed, GREY, ALL, () -> {})) {
      assertThat(images.training().sha256()).isEqualTo(digest);
    }
  }

  @Test
  void theDigest_isOfTheImagesTrainedOn() throws IOException {
    greys(4);

    try (DatasetSplit images = Datasets.open(folder, GREY, heldOut(0.5), () -> {})) {
      // Of 00000000 02020202 and of 01010101 03030303, by another program.
      assertThat(images.training().sha256())
          .isEqualTo("8ae602e3915b0011cfca603c174a310fd38fdcafbd2028027cbadbdc9ad9ca8c");
      assertThat(images.heldOut().sha256())
          .isEqualTo("43e1ef777df6ee3a0e7d7220c76c1f1285418a5072c056e4f3fbfff076849ce2");
    }
  }

  // Unreadable images

  @Test
  void unreadableImages_upToTheLimit_areSkipped() throws IOException {
    greys(3);
    write("000b.png", "<html>".getBytes(StandardCharsets.UTF_8));
    write("001b.webp", new byte[100]);

    try (DatasetSplit images = Datasets.open(folder, GREY, unreadable(2), () -> {})) {
      assertThat(values(images.training())).containsExactly(0, 1, 2);
    }
  }

  @Test
  void unreadableImages_beyondTheLimit_areRefusedAndNamed() throws IOException {
    greys(3);
    Path html = write("000b.png", "<html>".getBytes(StandardCharsets.UTF_8));
    Path empty = write("001b.jpg", new byte[0]);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, unreadable(1), () -> {}))
        .withMessageContainingAll(
            "pets", "2 of 5 images", "at most 1", "--max-unreadable", html + ": ", empty + ": ");
  }

  @Test
  void oneUnreadableImageInAHundred_isAllowed_unlessSaidOtherwise() throws IOException {
    greys(298);
    write("a.png", new byte[1]);
    write("b.png", new byte[1]);
    write("c.png", new byte[1]);

    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(images.training().size()).isEqualTo(298);
    }
    write("d.png", new byte[1]);
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContaining("at most 3");
  }

  @Test
  void aBrokenLink_isNoImage_andLinksAreFollowed() throws IOException {
    Path elsewhere = Files.move(grey("a.png", 7), temporary.resolve("elsewhere.png"));
    Files.createSymbolicLink(folder.resolve("link.png"), elsewhere);
    Files.createSymbolicLink(folder.resolve("broken.png"), temporary.resolve("absent.png"));

    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(values(images.training())).containsExactly(7);
    }
  }

  @Test
  void nothingButUnreadableImages_isRefused() throws IOException {
    write("a.png", new byte[1]);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContainingAll("pets", "every image to train on", folder + "/");
  }

  @Test
  void readableTestImages_doNotMakeUpForUnreadableTrainingImages() throws IOException {
    grey("test/a.png", 1);
    write("train/b.png", new byte[1]);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContainingAll("pets", "every image to train on", folder + "/");
  }

  // Grey and color

  @Test
  void greyAndColorMixed_isRefused_namingOneOfEach() throws IOException {
    Path grey = grey("a.png", 1);
    Path color = color("b.png", 0x102030);

    for (ImageShape wanted : List.of(GREY, COLOR)) {
      assertThatIOException()
          .isThrownBy(() -> Datasets.open(folder, wanted, ALL, () -> {}))
          .withMessageContainingAll(
              "pets", "grey (" + grey + ")", "RGB images (" + color + ")", "--channels 1");
    }
  }

  @Test
  void imagesOfTheOtherKind_areRefused() throws IOException {
    Path grey = grey("a.png", 1);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, COLOR, ALL, () -> {}))
        .withMessageContainingAll("pets", "grey images (" + grey + ")", "RGB", "--channels 1");
  }

  @Test
  void rgbImages_whereGreyIsExpected_areRefused_withThePresetForThem() throws IOException {
    color("a.png", 1);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContainingAll("RGB images", "--preset paper64", "--channels 1");
  }

  @Test
  void sample_isThatOfTheLargest_withColorIfAnyHasIt() throws IOException {
    for (int i = 0; i < 20; i++) {
      grey("%02d.png".formatted(i), i);
    }
    assertThat(Datasets.sample(folder, folder).shape()).isEqualTo(GREY);

    write("00.png", new BufferedImage(100, 30, BufferedImage.TYPE_BYTE_GRAY));
    assertThat(Datasets.sample(folder, folder).shape()).isEqualTo(new ImageShape(30, 30, 1));

    color("03.png", 0x102030);
    assertThat(Datasets.sample(folder, folder).shape()).isEqualTo(new ImageShape(30, 30, 3));
  }

  @Test
  void sample_passesOverUnreadableImages() throws IOException {
    write("00.png", new byte[] {1, 2, 3});
    color("01.png", 1);

    assertThat(Datasets.sample(folder, folder).shape()).isEqualTo(COLOR);
  }

  @Test
  void greyAndColorMixed_areConverted_onRequest() throws IOException {
    grey("a.png", 9);
    color("b.png", 0xFF0000);
    DatasetOptions convert = convert();

    try (DatasetSplit grey = Datasets.open(folder, GREY, convert, () -> {});
        DatasetSplit color = Datasets.open(folder, COLOR, convert, () -> {})) {
      assertThat(values(grey.training())).containsExactly(9, 76);
      assertThat(pixels(color.training(), 0)).containsOnly(9);
      assertThat(pixels(color.training(), 1)).startsWith(-1, 0, 0, -1, 0, 0);
    }
  }

  // Zips

  @Test
  void aZip_hasTheImagesAndTheDigestOfItsFolder() throws IOException {
    color("cat/1.png", 0x0A0B0C);
    color("dog/2.png", 0xFF0000);
    color("dog/10.png", 0x00FF00);
    Path zip = zip("pets.zip", "");
    Path nested = zip("nested.zip", "./pets/");
    Path windows = zip("windows.zip", "some\\pets\\");

    try (DatasetSplit ofFolder = Datasets.open(folder, COLOR, ALL, () -> {});
        DatasetSplit ofZip = Datasets.open(zip, COLOR, ALL, () -> {});
        DatasetSplit ofNested = Datasets.open(nested, COLOR, ALL, () -> {});
        DatasetSplit ofWindows = Datasets.open(windows, COLOR, ALL, () -> {})) {
      for (DatasetSplit images : List.of(ofZip, ofNested, ofWindows)) {
        assertThat(images.training().sha256()).isEqualTo(ofFolder.training().sha256());
        assertThat(labels(images.training())).containsExactly(0, 1, 1);
      }
      assertThat(ofZip.training().name()).isEqualTo("pets");
    }
  }

  @Test
  void aZip_namesItsUnreadableEntries() throws IOException {
    grey("a.png", 1);
    write("b.png", new byte[3]);
    Path zip = zip("pets.zip", "");

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(zip, GREY, unreadable(0), () -> {}))
        .withMessageContaining(zip + "!b.png: ");
  }

  @Test
  void aZipEntry_thatUnpacksToTooMuch_isUnreadable() throws IOException {
    grey("a.png", 1);
    Path zip = temporary.resolve("bomb.zip");
    try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
      out.putNextEntry(new ZipEntry("bomb.png"));
      byte[] zeros = new byte[1 << 20];
      for (int i = 0; i < 65; i++) {
        out.write(zeros);
      }
    }

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(zip, GREY, ALL, () -> {}))
        .withMessageContaining("bomb.png: it is larger than 64 MiB");
  }

  @Test
  void everyDamagedZipEntry_isCounted_alsoBeyondTheLimit() throws IOException {
    greys(40);
    Path zip = zip("pets.zip", "");
    byte[] bytes = Files.readAllBytes(zip);
    for (int i = 0; i < bytes.length - 4; i++) {
      if (bytes[i] == 'P' && bytes[i + 1] == 'K' && bytes[i + 2] == 1 && bytes[i + 3] == 2) {
        bytes[i + 16] ^= 1; // the CRC in the directory
      }
    }
    Files.write(zip, bytes);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(zip, GREY, unreadable(1), () -> {}))
        .withMessageContainingAll("40 of 40 images", "000.png", "CRC");
  }

  @Test
  void aTar_hasTheImagesAndTheDigestOfItsFolder() throws Exception {
    grey("cat/1.png", 1);
    grey("dog/2.png", 2);
    List<Path> tars = List.of(tar("pets.tar", "-cf"), tar("pets.tar.gz", "-czf"));

    try (DatasetSplit ofFolder = Datasets.open(folder, GREY, ALL, () -> {})) {
      for (Path tar : tars) {
        try (DatasetSplit images = Datasets.open(tar, GREY, ALL, () -> {})) {
          assertThat(images.training().sha256()).isEqualTo(ofFolder.training().sha256());
          assertThat(labels(images.training())).containsExactly(0, 1);
          assertThat(images.training().name()).isEqualTo("pets");
        }
      }
    }
  }

  private Path tar(String name, String options) throws Exception {
    Path tar = temporary.resolve(name);
    Process process =
        new ProcessBuilder("tar", options, tar.toString(), "-C", temporary.toString(), "pets")
            .inheritIO()
            .start();
    assertThat(process.waitFor()).isZero();
    return tar;
  }

  @Test
  void aDamagedZip_isRefused() throws IOException {
    grey("a.png", 1);
    byte[] whole = Files.readAllBytes(zip("pets.zip", ""));
    Path cut = Files.write(temporary.resolve("cut.zip"), Arrays.copyOf(whole, 60));

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(cut, GREY, ALL, () -> {}))
        .withMessageContainingAll("zip", cut + ": ");
  }

  @Test
  void theRealCifar10Zip_isReadWhole() throws IOException {
    Path zip = TestData.cifar10Zip();

    try (DatasetSplit images = Datasets.open(zip, new ImageShape(64, 64, 3), DEFAULTS, () -> {})) {
      assertThat(images.training().size()).isEqualTo(9000);
      assertThat(images.heldOut().size()).isEqualTo(1000);
      assertThat(images.training().classes()).isEqualTo(10);
      int[] counts = new int[10];
      IntStream.range(0, 9000).forEach(i -> counts[images.training().label(i)]++);
      assertThat(counts).containsOnly(900);
    }
  }

  // IDX

  @Test
  void idxOfTheWantedSize_isTakenAsItIs() throws IOException {
    idx("train-images-idx3-ubyte", 2, 2, 1, 2, 3, 4, 5, 6, 7, 8);
    Path file = folder.resolve("train-images-idx3-ubyte");

    for (Path data : List.of(folder, file)) {
      try (DatasetSplit images = Datasets.open(data, GREY, ALL, () -> {})) {
        assertThat(pixels(images.training(), 0)).containsExactly(1, 2, 3, 4);
        assertThat(pixels(images.training(), 1)).containsExactly(5, 6, 7, 8);
        assertThat(images.training().classes()).isZero();
      }
    }
  }

  @Test
  void idxInASubfolder_isFound_oneOfSeveralIsNot() throws IOException {
    idx("MNIST/raw/train-images-idx3-ubyte", 2, 2, 1, 2, 3, 4);
    idx("MNIST/raw/t10k-images-idx3-ubyte", 2, 2, 5, 6, 7, 8);

    try (DatasetSplit images = Datasets.open(folder, GREY, DEFAULTS, () -> {})) {
      assertThat(pixels(images.training(), 0)).containsExactly(1, 2, 3, 4);
      assertThat(pixels(images.heldOut(), 0)).containsExactly(5, 6, 7, 8);
      assertThat(images.training().name()).isEqualTo("MNIST");
    }
    idx("KMNIST/raw/train-images-idx3-ubyte", 2, 2, 1, 2, 3, 4);
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, DEFAULTS, () -> {}))
        .withMessageContainingAll("several datasets", "KMNIST/raw", "MNIST/raw", "name one");
  }

  @Test
  void idxOfAnotherSize_isCroppedAndResized() throws IOException {
    idx("train-images-idx3-ubyte", 1, 3, 9, 50, 100);

    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(pixels(images.training(), 0)).containsOnly(50);
    }
  }

  @Test
  void idxTestImages_areHeldOut() throws IOException {
    idx("emnist-letters-train-images-idx3-ubyte", 2, 2, 1, 2, 3, 4);
    idx("emnist-letters-test-images-idx3-ubyte", 2, 2, 5, 6, 7, 8);
    write("emnist-letters-train-labels-idx1-ubyte", new byte[] {0, 0, 8, 1, 0, 0, 0, 1, 2});
    write("emnist-letters-test-labels-idx1-ubyte", new byte[] {0, 0, 8, 1, 0, 0, 0, 1, 4});

    try (DatasetSplit images = Datasets.open(folder, GREY, DEFAULTS, () -> {})) {
      assertThat(images.disjoint()).isTrue();
      // Rows and columns exchanged.
      assertThat(pixels(images.training(), 0)).containsExactly(1, 3, 2, 4);
      assertThat(pixels(images.heldOut(), 0)).containsExactly(5, 7, 6, 8);
      assertThat(labels(images.training())).containsExactly(2);
      assertThat(labels(images.heldOut())).containsExactly(4);
      assertThat(images.training().classes()).isEqualTo(5);
    }
  }

  @Test
  void theRealMnist_isWhatItWas_withItsTestImagesHeldOut() throws IOException {
    Path mnist = TestData.mnist();

    try (DatasetSplit images =
        Datasets.open(mnist, new ImageShape(28, 28, 1), DEFAULTS, () -> {})) {
      assertThat(images.disjoint()).isTrue();
      assertThat(images.training().name()).isEqualTo("mnist");
      assertThat(images.training().size()).isEqualTo(60_000);
      assertThat(images.training().classes()).isEqualTo(10);
      // Of the files with MD5 6bbc9ace898e44ae57da46a324031adb and
      // 2646ac647ad5339dbf082846283269ea, less their headers.
      assertThat(images.training().sha256())
          .isEqualTo("741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757");
      assertThat(images.heldOut().size()).isEqualTo(10_000);
      assertThat(images.heldOut().sha256())
          .isEqualTo("6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161");
      // The first of both sets are a five and a seven.
      assertThat(images.training().label(0)).isEqualTo(5);
      assertThat(images.heldOut().label(0)).isEqualTo(7);
    }
  }

  // CIFAR-10

  @Test
  void cifarBatches_areReadInOrder_theTestBatchHeldOut() throws IOException {
    write("data_batch_1.bin", cifar(3, 1, 4, 2));
    write("data_batch_2.bin", cifar(5, 3));
    write("test_batch.bin", cifar(9, 8));

    try (DatasetSplit images =
        Datasets.open(folder, new ImageShape(32, 32, 3), DEFAULTS, () -> {})) {
      assertThat(images.training().name()).isEqualTo("cifar10");
      assertThat(images.training().size()).isEqualTo(3);
      assertThat(labels(images.training())).containsExactly(3, 4, 5);
      assertThat(labels(images.heldOut())).containsExactly(9);
      assertThat(images.training().classes()).isEqualTo(10);
      assertThat(images.training().className(3)).isEqualTo("cat");
      // Red is the value, green and blue ten and twenty more; the last pixel has one more.
      assertThat(pixels(images.training(), 1)).startsWith(2, 12, 22, 2).endsWith(3, 13, 23);
      assertThat(pixels(images.heldOut(), 0)).startsWith(8, 18, 28);
    }
  }

  @Test
  void aFewImagesBesideMnist_areNotTheDataset() throws IOException {
    idx("MNIST/raw/train-images-idx3-ubyte", 2, 2, 1, 2, 3, 4);
    grey("sample.png", 9);

    List<String> lines =
        logged(
            () -> {
              Datasets.sample(folder, temporary);
              try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
                assertThat(pixels(images.training(), 0)).containsExactly(1, 2, 3, 4);
              }
            });

    assertThat(lines)
        .singleElement()
        .asString()
        .contains("found in its subfolder MNIST/raw; 1 image files beside it are ignored");
    for (int i = 0; i <= 100; i++) {
      grey("%03d.png".formatted(i), 7);
    }
    try (DatasetSplit images = Datasets.open(folder, GREY, ALL, () -> {})) {
      assertThat(images.training().size()).isEqualTo(102);
    }
  }

  @Test
  void cifarInASubfolder_isFound() throws IOException {
    write("cifar-10-batches-bin/data_batch_1.bin", cifar(3, 1));

    try (DatasetSplit images = Datasets.open(folder, new ImageShape(32, 32, 3), ALL, () -> {})) {
      assertThat(labels(images.training())).containsExactly(3);
    }
  }

  @Test
  void otherDatasetsAndArchives_areNamed_withTheRemedy() throws IOException {
    assertRefused("cifar-10-batches-py/data_batch_1", "", "Python", "cifar-10-binary.tar.gz");
    assertRefused("b/data_batch_1.mat", "", "MATLAB", "cifar-10-binary.tar.gz");
    assertRefused("c/train-00000.parquet", "PAR1", "found 1 .parquet files", "PNG or JPEG");
    assertRefused("d/images.tfrecord", "", "found 1 .tfrecord files", "PNG or JPEG");
    assertRefused("e/photos.zip", "", "found 1 .zip files", "name one of these files");
    assertRefused("f/data.mdb", "", ".mdb", "PNG or JPEG");
    assertRefused("h/a.ppm", "P6", "found 1 .ppm files", "convert them to PNG");
    assertRefused("i/a.ARW", "x", "found 1 .arw files", "convert them to PNG");
    assertRefused("j/a", "x", "found 1 files without an extension", "add .png or .jpg");
    assertRefused("g/.hidden/x.png", "", "hidden .hidden/");
    assertFileRefused("a.7z", "7z\u00BC\u00AF'\u001C", "7z archive", "unpack it");
    assertFileRefused("a.rar", "Rar!", "RAR archive", "unpack it");
    assertFileRefused("a.tar.xz", "\u00FD7zXZ", "xz", "unpack it");
    assertFileRefused("a.tar.zst", "(\u00B5/\u00FD", "zstd", "unpack it");
    assertFileRefused("a.parquet", "PAR1", "Parquet", "PNG or JPEG");
    assertFileRefused("empty.zip", "", "empty", "copy it again");
    assertFileRefused("a.jpg", "\u00FF\u00D8" + "\2".repeat(600), "single image", "the folder");
    assertFileRefused("a.dat", "\2".repeat(600), "neither IDX nor a zip or tar");
  }

  private void assertRefused(String name, String content, String... facts) throws IOException {
    Path file = write(name, content.getBytes(StandardCharsets.ISO_8859_1));
    Path data = folder.resolve(folder.relativize(file).getName(0));
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(data, GREY, ALL, () -> {}))
        .withMessageContaining("no image found")
        .withMessageContainingAll(facts);
  }

  private void assertFileRefused(String name, String content, String... facts) throws IOException {
    Path file = write(name, content.getBytes(StandardCharsets.ISO_8859_1));
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(file, GREY, ALL, () -> {}))
        .withMessageContaining("cannot open " + file)
        .withMessageContainingAll(facts);
  }

  @Test
  void cifarOfALargerSize_isEnlarged() throws IOException {
    write("data_batch_1.bin", cifar(3, 100));

    try (DatasetSplit images = Datasets.open(folder, new ImageShape(64, 64, 3), ALL, () -> {})) {
      assertThat(pixels(images.training(), 0)).hasSize(64 * 64 * 3).startsWith(100, 110, 120);
    }
  }

  @Test
  void aCutCifarBatch_isRefused() throws IOException {
    Path batch = write("data_batch_1.bin", Arrays.copyOf(cifar(3, 1), 3000));

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, new ImageShape(32, 32, 3), ALL, () -> {}))
        .withMessageContainingAll(batch + ": ", "3000 bytes", "3073 bytes");
  }

  @Test
  void aCifarBatchWithAnImpossibleLabel_isRefused() throws IOException {
    Path batch = write("data_batch_1.bin", cifar(3, 1, 10, 1));

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, new ImageShape(32, 32, 3), ALL, () -> {}))
        .withMessageContainingAll(batch + ": ", "label 10 in record 1", "0 to 9");
  }

  // What is none of these

  @Test
  void anEmptyFolder_isRefused() {
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .withMessageContainingAll(folder + ": ", "no image found", "expected a folder");
  }

  @Test
  void anEmptyZip_isRefused() throws IOException {
    Path zip = zip("empty.zip", "");

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(zip, GREY, ALL, () -> {}))
        .withMessageContainingAll(zip + ": ", "no image found");
  }

  @Test
  void somethingElse_isRefused() throws IOException {
    Path image = grey("a.png", 1);

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(image, GREY, ALL, () -> {}))
        .withMessageContainingAll(
            image + ": ", "a single image: name the folder", "expected a folder");
    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder.resolve("absent"), GREY, ALL, () -> {}))
        .withMessageContainingAll(folder.resolve("absent") + ": ", "expected a folder");
  }

  // Scratch files

  @Test
  void imagesAboveTheMemoryLimit_useAScratchFile_deletedOnClose() throws IOException {
    greys(300);
    Path cache = Files.createDirectory(temporary.resolve("cache"));

    try (DatasetSplit small = Datasets.open(folder, GREY, scratch(1199, cache), () -> {});
        DatasetSplit inMemory = Datasets.open(folder, GREY, scratch(1200, cache), () -> {})) {
      assertThat(values(small.training())).isEqualTo(values(inMemory.training()));
      assertThat(values(small.heldOut())).isEqualTo(values(inMemory.heldOut())).hasSize(30);
      assertThat(small.training().sha256()).isEqualTo(inMemory.training().sha256());
    }

    try (Stream<Path> left = Files.list(cache)) {
      assertThat(left).isEmpty();
    }
  }

  @Test
  void theScratchFolder_isNeededOnlyWhereImagesExceedTheMemory() throws IOException {
    greys(2);
    Path missing = temporary.resolve("missing");

    Datasets.open(folder, GREY, scratch(8, missing), () -> {}).close();
    assertThat(missing).doesNotExist();
    Datasets.open(folder, GREY, scratch(7, missing), () -> {}).close();
    assertThat(missing).isEmptyDirectory();
  }

  @Test
  void aScratchFolderThatCannotBeUsed_hasAFallback() throws IOException {
    greys(2);
    Path file = Files.createFile(temporary.resolve("file"));

    try (DatasetSplit images = Datasets.open(folder, GREY, scratch(7, file), () -> {})) {
      assertThat(images.training().size()).isPositive();
    }
  }

  @Test
  void imagesThatFitOnNoDisk_areRefusedAtOnce() throws IOException {
    // A header that promises more than any disk holds.
    write(
        "train-images-idx3-ubyte",
        ByteBuffer.allocate(16)
            .putInt(0x0803)
            .putInt(Integer.MAX_VALUE)
            .putInt(60)
            .putInt(60)
            .array());

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, new ImageShape(4096, 4096, 1), ALL, () -> {}))
        .withMessageContainingAll("36028797002186752 bytes", "-Djava.io.tmpdir=<folder>");
  }

  @Test
  void anInterruptedThread_stopsOpening() throws IOException {
    greys(2);
    Thread.currentThread().interrupt();

    assertThatIOException()
        .isThrownBy(() -> Datasets.open(folder, GREY, ALL, () -> {}))
        .isInstanceOf(InterruptedIOException.class);
    assertThat(Thread.interrupted()).isTrue();
  }

  // The rest

  @Test
  void digits_areHeldOutFromTheSameSequence_furtherOn() throws IOException {
    DigitsDataset both = new DigitsDataset(24, 5);

    try (DatasetSplit images = DigitsDataset.split(12, 5)) {
      assertThat(images.disjoint()).isTrue();
      assertThat(images.heldOut().size()).isEqualTo(12);
      assertThat(pixels(images.training(), 11)).isEqualTo(pixels(both, 11));
      assertThat(pixels(images.heldOut(), 0)).isEqualTo(pixels(both, 12));
    }
  }

  @Test
  void options_outOfRange_areRefused() {
    assertThatIllegalArgumentException().isThrownBy(() -> heldOut(-0.1));
    assertThatIllegalArgumentException().isThrownBy(() -> heldOut(0.6));
    assertThatIllegalArgumentException().isThrownBy(() -> heldOut(Double.NaN));
    assertThatIllegalArgumentException().isThrownBy(() -> unreadable(-1));
    assertThatIllegalArgumentException().isThrownBy(() -> scratch(-1, folder));
  }

  private static DatasetOptions heldOut(double fraction) {
    return new DatasetOptions(
        fraction, false, OptionalInt.empty(), DEFAULTS.memoryBytes(), DEFAULTS.scratchFolder());
  }

  private static DatasetOptions unreadable(int limit) {
    return new DatasetOptions(
        0, false, OptionalInt.of(limit), DEFAULTS.memoryBytes(), DEFAULTS.scratchFolder());
  }

  private static DatasetOptions convert() {
    return new DatasetOptions(
        0, true, OptionalInt.empty(), DEFAULTS.memoryBytes(), DEFAULTS.scratchFolder());
  }

  private static DatasetOptions scratch(long memoryBytes, Path cache) {
    return new DatasetOptions(0.1, false, OptionalInt.empty(), memoryBytes, cache);
  }

  /** Flat images 000.png, 001.png and so on of the greys 0, 1 and so on, up to 255. */
  private void greys(int count) throws IOException {
    for (int i = 0; i < count; i++) {
      grey("%03d.png".formatted(i), Math.min(i, 255));
    }
  }

  /** What is logged while datasets are read. */
  private static List<String> logged(Reading reading) throws IOException {
    Logger logger = (Logger) LoggerFactory.getLogger("dev.dcgan.trainer.data");
    ListAppender<ILoggingEvent> appender = new ListAppender<>();
    appender.start();
    logger.addAppender(appender);
    try {
      reading.read();
    } finally {
      logger.detachAppender(appender);
    }
    return appender.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  private interface Reading {

    void read() throws IOException;
  }

  private Path grey(String name, int value) throws IOException {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY);
    image.getRaster().setSamples(0, 0, 2, 2, 0, new int[] {value, value, value, value});
    return write(name, image);
  }

  private Path color(String name, int rgb) throws IOException {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_3BYTE_BGR);
    image.setRGB(0, 0, 2, 2, new int[] {rgb, rgb, rgb, rgb}, 0, 2);
    return write(name, image);
  }

  private Path write(String name, BufferedImage image) throws IOException {
    Path file = write(name, new byte[0]);
    try (OutputStream out = Files.newOutputStream(file)) {
      assertThat(ImageIO.write(image, "png", out)).isTrue();
    }
    return file;
  }

  private Path write(String name, byte[] bytes) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.resolveSibling(""));
    return Files.write(file, bytes);
  }

  private void idx(String name, int rows, int columns, int... pixels) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(16 + pixels.length)
            .putInt(0x0803)
            .putInt(pixels.length / (rows * columns))
            .putInt(rows)
            .putInt(columns);
    for (int pixel : pixels) {
      bytes.put((byte) pixel);
    }
    write(name, bytes.array());
  }

  /** Records of (label, value) each. */
  private static byte[] cifar(int... labelsAndValues) {
    ByteBuffer records = ByteBuffer.allocate(labelsAndValues.length / 2 * 3073);
    for (int i = 0; i < labelsAndValues.length; i += 2) {
      records.put((byte) labelsAndValues[i]);
      for (int channel = 0; channel < 3; channel++) {
        for (int pixel = 0; pixel < 1024; pixel++) {
          int one = pixel == 1023 ? 1 : 0;
          records.put((byte) (labelsAndValues[i + 1] + 10 * channel + one));
        }
      }
    }
    return records.array();
  }

  /** A zip of the folder, last file first, every name with a prefix. */
  private Path zip(String name, String prefix) throws IOException {
    Path zip = temporary.resolve(name);
    try (Stream<Path> walk = Files.walk(folder);
        ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
      List<Path> files =
          walk.filter(Files::isRegularFile).sorted(Comparator.reverseOrder()).toList();
      for (Path file : files) {
        out.putNextEntry(new ZipEntry(prefix + folder.relativize(file)));
        Files.copy(file, out);
      }
    }
    return zip;
  }

  /** The first value of every image. */
  private static List<Integer> values(ImageDataset images) throws IOException {
    List<Integer> values = new ArrayList<>();
    for (int i = 0; i < images.size(); i++) {
      values.add(pixels(images, i)[0] & 0xFF);
    }
    return values;
  }

  private static List<Integer> labels(ImageDataset images) {
    return IntStream.range(0, images.size()).mapToObj(images::label).toList();
  }

  private static byte[] pixels(ImageDataset images, int index) throws IOException {
    byte[] pixels = new byte[images.shape().values()];
    images.copyPixels(index, pixels, 0);
    return pixels;
  }
}
