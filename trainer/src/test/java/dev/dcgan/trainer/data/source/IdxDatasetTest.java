package dev.dcgan.trainer.data.source;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.TestData;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class IdxDatasetTest {

  private static final String MNIST = "train-images-idx3-ubyte";
  private static final int IMAGES = 0x0803;
  private static final int LABELS = 0x0801;
  private static final byte[] TWO_IMAGES = {1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6};

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {MNIST, MNIST + ".gz", "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz"})
  void open_ofAFolder_findsTheImagesByTheirStandardNames(String name) throws IOException {
    write(name, twoImages());

    IdxDataset dataset = IdxDataset.open(folder);

    assertThat(dataset.size()).isEqualTo(2);
    assertThat(dataset.shape()).isEqualTo(new ImageShape(2, 3, 1));
    assertThat(dataset.name()).isEqualTo(folder.getFileName().toString());
    assertThat(pixels(dataset, 0)).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(pixels(dataset, 1)).containsExactly(-1, -2, -3, -4, -5, -6);
  }

  @Test
  void open_tellsGzipByItsBytes_notByItsName() throws IOException {
    Files.write(folder.resolve(MNIST), gzip(twoImages()));

    assertThat(IdxDataset.open(folder).size()).isEqualTo(2);
  }

  @Test
  void open_ofQmnist_takesTheFirstColumnOfTheLabels() throws IOException {
    write("qmnist-train-images-idx3-ubyte", twoImages());
    ByteBuffer labels = ByteBuffer.allocate(12 + 2 * 8 * 4).putInt(0x0C02).putInt(2).putInt(8);
    for (int i = 0; i < 16; i++) {
      labels.putInt(i == 0 ? 5 : i == 8 ? 3 : 1000 + i);
    }
    write("qmnist-train-labels-idx2-int.gz", labels.array());

    IdxDataset dataset = IdxDataset.open(folder);

    assertThat(dataset.name()).isEqualTo("qmnist");
    assertThat(dataset.label(0)).isEqualTo(5);
    assertThat(dataset.label(1)).isEqualTo(3);
    assertThat(dataset.classes()).isEqualTo(6);
  }

  @Test
  void open_ofFilesInFoldersOfTheirNames_findsTheLabels() throws IOException {
    Path images = Files.createDirectory(folder.resolve(MNIST));
    Path labels = Files.createDirectory(folder.resolve("train-labels-idx1-ubyte"));
    Files.write(images.resolve(MNIST), twoImages());
    Files.write(labels.resolve("train-labels-idx1-ubyte"), idx(LABELS, new byte[] {7, 2}, 2));

    assertThat(IdxDataset.open(images).label(0)).isEqualTo(7);
  }

  @Test
  void open_ofEmnist_turnsTheImagesUpright() throws IOException {
    Path file = write("emnist-letters-train-images-idx3-ubyte.gz", twoImages());

    for (Path path : new Path[] {folder, file}) {
      IdxDataset dataset = IdxDataset.open(path);

      assertThat(dataset.name()).isEqualTo("emnist-letters");
      assertThat(dataset.shape()).isEqualTo(new ImageShape(3, 2, 1));
      assertThat(pixels(dataset, 0)).containsExactly(1, 4, 2, 5, 3, 6);
    }
  }

  @Test
  void open_ofAFolderWithSeveralSets_asksForTheFile() throws IOException {
    write("emnist-letters-train-images-idx3-ubyte.gz", twoImages());
    Path digits = write("emnist-digits-train-images-idx3-ubyte.gz", twoImages());

    assertThatIOException()
        .isThrownBy(() -> IdxDataset.open(folder))
        .withMessageContainingAll(
            folder + ": ",
            "emnist-digits-train-images-idx3-ubyte, emnist-letters-train-images-idx3-ubyte");
    assertThat(IdxDataset.open(digits).name()).isEqualTo("emnist-digits");
  }

  @Test
  void open_ofAFolderWithPlainAndGzip_takesThePlainFile() throws IOException {
    write(MNIST, twoImages());
    Files.write(folder.resolve(MNIST + ".gz"), new byte[] {0x1F, (byte) 0x8B, 0});

    assertThat(IdxDataset.open(folder).size()).isEqualTo(2);
  }

  @Test
  void open_passesOverFoldersOfAStandardName() throws IOException {
    Files.createDirectory(folder.resolve(MNIST));
    write("train-images.idx3-ubyte", twoImages());

    assertThat(IdxDataset.open(folder).size()).isEqualTo(2);
  }

  @Test
  void open_ofAFolderWithoutImages_saysWhatItLookedFor() throws IOException {
    write("t10k-images-idx3-ubyte", twoImages());

    assertThatIOException()
        .isThrownBy(() -> IdxDataset.open(folder))
        .withMessageContaining(folder + ": ")
        .withMessageContaining(
            "train-images-idx3-ubyte, train-images.idx3-ubyte or emnist-<split>");
  }

  @Test
  void open_ofNothing_saysSo() {
    assertThatIOException()
        .isThrownBy(() -> IdxDataset.open(folder.resolve("absent")))
        .withMessageContaining("absent: it does not exist");
  }

  @Test
  void open_whenTheImagesFileHoldsLabels_saysWhatItFound() throws IOException {
    Path file = write(MNIST, idx(LABELS, new byte[2], 2));

    refused(file, "0x00000801 (labels); expected 0x00000803 (images)");
  }

  @Test
  void open_ofSomethingElse_isRefused() throws IOException {
    refused(write(MNIST, "<!DOCTYPE html>".getBytes(UTF_8)), "0x3C21444F");
  }

  @ParameterizedTest
  @ValueSource(strings = {MNIST, MNIST + ".gz"})
  void open_whenImagesAreMissing_saysHowManyBytesWereThere(String name) throws IOException {
    Path file = write(name, Arrays.copyOf(twoImages(), 16 + 11));

    refused(file, "truncated after 11 bytes of data; expected 2x2x3");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 15})
  void open_whenTheHeaderIsCut_isRefused(int length) throws IOException {
    Path file = write(MNIST, Arrays.copyOf(twoImages(), length));

    refused(file, "truncated after " + length + " bytes; expected an IDX header of 16");
  }

  @ParameterizedTest
  @ValueSource(strings = {MNIST, MNIST + ".gz"})
  void open_whenBytesFollow_isRefused(String name) throws IOException {
    Path file = write(name, Arrays.copyOf(twoImages(), 16 + 13));

    refused(file, "after 12 bytes of data; expected 2x2x3");
  }

  @Test
  void open_whenTheHeaderPromisesTerabytes_takesNoMemoryForThem() throws IOException {
    Path file = write(MNIST, idx(IMAGES, new byte[100], Integer.MAX_VALUE, 4096, 4096));

    refused(file, "truncated after 100 bytes of data; expected 2147483647x4096x4096");
  }

  @Test
  void open_whenADimensionIsNegative_isRefused() throws IOException {
    refused(write(MNIST, idx(IMAGES, TWO_IMAGES, 2, -2, 3)), "-2 as dimension 2 of 3");
  }

  @Test
  void open_whenAnImageIsTooLarge_isRefused() throws IOException {
    refused(write(MNIST, idx(IMAGES, TWO_IMAGES, 2, 5000, 3)), "image of 5000 x 3 pixels");
  }

  @Test
  void open_whenGzipIsCut_isRefused() throws IOException {
    byte[] whole = gzip(idx(IMAGES, new byte[600], 100, 2, 3));
    for (int length : new int[] {5, 12, whole.length - 9, whole.length - 1}) {
      Path file = Files.write(folder.resolve(MNIST + ".gz"), Arrays.copyOf(whole, length));

      refused(file, "damaged gzip (");
    }
  }

  @Test
  void open_whenGzipsChecksumFails_isRefused() throws IOException {
    byte[] whole = gzip(twoImages());
    whole[whole.length - 8] ^= 1;

    refused(Files.write(folder.resolve(MNIST + ".gz"), whole), "damaged gzip (");
  }

  @Test
  void open_whenLabelsAreMoreOrFewer_isRefused() throws IOException {
    write(MNIST, twoImages());
    Path labels = write("train-labels-idx1-ubyte.gz", idx(LABELS, new byte[3], 3));

    refused(labels, "3 labels; expected 2, one for each image in " + folder.resolve(MNIST));
  }

  @Test
  void open_whenLabelsAreTruncated_isRefused() throws IOException {
    write(MNIST + ".gz", twoImages());
    Path labels = write("train-labels-idx1-ubyte", idx(LABELS, new byte[1], 2));

    refused(labels, "truncated after 1 bytes of data; expected 2");
  }

  @Test
  void open_whenTheLabelsFileHoldsImages_isRefused() throws IOException {
    write(MNIST, twoImages());
    Path labels = write("train-labels-idx1-ubyte", twoImages());

    refused(labels, "0x00000803 (images); expected 0x00000801 (labels)");
  }

  @Test
  void open_withLabels_hasThem() throws IOException {
    write(MNIST, twoImages());
    write("train-labels-idx1-ubyte", idx(LABELS, new byte[] {7, 2}, 2));

    IdxDataset dataset = IdxDataset.open(folder);

    assertThat(dataset.size()).isEqualTo(2);
    assertThat(dataset.classes()).isEqualTo(8);
    assertThat(dataset.label(0)).isEqualTo(7);
    assertThat(dataset.label(1)).isEqualTo(2);
  }

  @Test
  void open_withoutLabels_hasNoClasses() throws IOException {
    write(MNIST, twoImages());

    IdxDataset dataset = IdxDataset.open(folder);

    assertThat(dataset.classes()).isZero();
    assertThat(dataset.label(1)).isEqualTo(-1);
  }

  @Test
  void open_ofTheRealMnist_readsAllOfIt() throws IOException {
    IdxDataset mnist = IdxDataset.open(TestData.mnist());

    assertThat(mnist.name()).isEqualTo("mnist");
    assertThat(mnist.size()).isEqualTo(60_000);
    assertThat(mnist.shape()).isEqualTo(new ImageShape(28, 28, 1));
    int sum = 0;
    for (byte pixel : pixels(mnist, 0)) {
      sum += pixel & 0xFF;
    }
    assertThat(sum).isEqualTo(27_525);
    // Of the file with MD5 6bbc9ace898e44ae57da46a324031adb, less its header.
    assertThat(mnist.sha256())
        .isEqualTo("741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757");
  }

  private void refused(Path file, String message) {
    assertThatIOException()
        .isThrownBy(() -> IdxDataset.open(folder))
        .withMessageContaining(file + ": ")
        .withMessageContaining(message);
  }

  private Path write(String name, byte[] idx) throws IOException {
    return Files.write(folder.resolve(name), name.endsWith(".gz") ? gzip(idx) : idx);
  }

  private static byte[] twoImages() {
    return idx(IMAGES, TWO_IMAGES, 2, 2, 3);
  }

  private static byte[] idx(int magic, byte[] data, int... dimensions) {
    ByteBuffer bytes = ByteBuffer.allocate(4 + 4 * dimensions.length + data.length).putInt(magic);
    for (int dimension : dimensions) {
      bytes.putInt(dimension);
    }
    return bytes.put(data).array();
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(packed)) {
      out.write(bytes);
    }
    return packed.toByteArray();
  }

  private static byte[] pixels(ImageDataset dataset, int index) throws IOException {
    byte[] pixels = new byte[dataset.shape().values()];
    dataset.copyPixels(index, pixels, 0);
    return pixels;
  }
}
