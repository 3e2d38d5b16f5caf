package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.apache.commons.compress.utils.SeekableInMemoryByteChannel;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a data set file of each format, with all its content, or are refused. */
public class DatasetFileFuzzTest {

  private static final Path FILE = Path.of("file");
  private static final int MAX_IMAGES = 16;
  private static final int CIFAR_RECORD = 3073;

  private interface Reader {
    void read() throws IOException;
  }

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/dataset"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void file_isReadOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    attempt(() -> readImages(bytes));
    attempt(
        () -> {
          try (IdxReader labels = IdxReader.openLabels(FILE, new ByteArrayInputStream(bytes))) {
            assertThat(labels.labels()).isNotEmpty();
          }
        });
    attempt(() -> readAll(TarTree.open(FILE, new SeekableInMemoryByteChannel(bytes))));
    attempt(() -> readAll(ZipTree.open(FILE, new SeekableInMemoryByteChannel(bytes))));
    // Only these need a file: what has another beginning or length is refused by that.
    boolean isGzip = bytes.length > 1 && bytes[0] == 0x1F && bytes[1] == (byte) 0x8B;
    if (isGzip || (bytes.length > 0 && bytes.length % CIFAR_RECORD == 0)) {
      readAsFile(bytes);
    }
  }

  private static void readAsFile(byte[] bytes) throws IOException {
    Path folder = Files.createTempDirectory("fuzz");
    Path file = folder.resolve("file");
    try {
      Files.write(file, bytes);
      attempt(() -> readAll(TarTree.openGzip(file, folder)));
      attempt(
          () -> {
            try (CifarSource source = CifarSource.open(List.of(file))) {
              for (int i = 0; i < source.size(); i++) {
                assertThat(source.next()).isNotNull();
              }
            }
          });
    } finally {
      Files.delete(file);
      Files.delete(folder);
    }
  }

  private static void readImages(byte[] bytes) throws IOException {
    try (IdxReader images = IdxReader.openImages(FILE, new ByteArrayInputStream(bytes))) {
      long size = (long) images.dimension(1) * images.dimension(2);
      for (int i = 0; i < Math.min(images.dimension(0), MAX_IMAGES); i++) {
        assertThat(images.next((int) Math.min(size, Integer.MAX_VALUE))).isNotEmpty();
      }
      images.expectEnd();
    }
  }

  private static void readAll(FileTree opened) throws IOException {
    try (FileTree tree = opened) {
      for (String name : tree.names()) {
        attempt(() -> assertThat(tree.read(name)).isNotNull());
      }
    }
  }

  private static void attempt(Reader reader) {
    try {
      reader.read();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
