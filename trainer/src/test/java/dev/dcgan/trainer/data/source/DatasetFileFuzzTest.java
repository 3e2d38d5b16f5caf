package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Any bytes are a data set file of each format or are refused. */
class DatasetFileFuzzTest {

  private static Path folder = Path.of("");

  private interface Opener {
    Closeable open(Path file) throws IOException;
  }

  @BeforeAll
  static void create() throws IOException {
    folder = Files.createTempDirectory("dataset");
  }

  @AfterAll
  static void delete() throws IOException {
    Files.deleteIfExists(folder.resolve("file"));
    Files.deleteIfExists(folder);
  }

  @FuzzTest
  void file_isOpenedOrRefused(byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve("file"), bytes);
    attempt(IdxReader::openImages, file);
    attempt(IdxReader::openLabels, file);
    attempt(TarTree::open, file);
    attempt(archive -> TarTree.openGzip(archive, folder), file);
    attempt(ZipTree::open, file);
    attempt(batch -> CifarSource.open(List.of(batch)), file);
  }

  private static void attempt(Opener opener, Path file) {
    try (Closeable opened = opener.open(file)) {
      assertThat(opened).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
