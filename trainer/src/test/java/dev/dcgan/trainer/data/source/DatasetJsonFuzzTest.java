package dev.dcgan.trainer.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are StyleGAN's labels of images, each a class, or are refused by name. */
public class DatasetJsonFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/dataset-json"))) {
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
    FileTree.Item file = new FileTree.Item("faces/dataset.json", null, limit -> bytes);
    try (FileTree tree = new FileTree(Path.of("root"), List.of(file), null, new IgnoredFiles())) {
      Map<String, Integer> labels = DatasetJson.labels(tree);
      assertThat(labels.keySet()).allMatch(name -> name.startsWith("faces/"));
      assertThat(labels.values()).allMatch(label -> label >= 0 && label < 100_000);
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("faces/dataset.json: ");
    }
  }
}
