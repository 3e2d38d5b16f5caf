package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a data set file of each format or are refused. */
public class DatasetFileFuzzTest {

  private interface Opener {
    Closeable open(Path file) throws IOException;
  }

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/dataset"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void file_isOpenedOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    Path folder = Files.createTempDirectory("fuzz");
    Path file = folder.resolve("file");
    try {
      Files.write(file, bytes);
      attempt(IdxReader::openImages, file);
      attempt(IdxReader::openLabels, file);
      attempt(TarTree::open, file);
      attempt(archive -> TarTree.openGzip(archive, folder), file);
      attempt(ZipTree::open, file);
      attempt(batch -> CifarSource.open(List.of(batch)), file);
    } finally {
      Files.delete(file);
      Files.delete(folder);
    }
  }

  private static void attempt(Opener opener, Path file) {
    try (Closeable opened = opener.open(file)) {
      assertThat(opened).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
