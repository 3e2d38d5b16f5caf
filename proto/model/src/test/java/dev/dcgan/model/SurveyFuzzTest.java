package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.RepositorySurvey.Model;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Any folder is surveyed, and what it says can be served or not. The bytes are lines that make the
 * folder: {@code d PATH} a folder, {@code f PATH CONTENT} a file, {@code l PATH TARGET} a link.
 */
public class SurveyFuzzTest {

  private static final int MAX_LINES = 24;

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/survey"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void folder_isSurveyed(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    Path root = Files.createTempDirectory("fuzz").toRealPath();
    try {
      List<String> lines = new String(bytes, StandardCharsets.UTF_8).lines().toList();
      for (String line : lines.subList(0, Math.min(lines.size(), MAX_LINES))) {
        make(root, line);
      }
      survey(new ModelRepository(root));
    } finally {
      delete(root);
    }
  }

  private static void survey(ModelRepository repository) throws IOException {
    RepositorySurvey survey = repository.survey();
    assertThat(survey.skipped()).allMatch(skipped -> !skipped.toString().contains("\n"));
    assertThat(survey.models())
        .extracting(Model::name)
        .isSorted()
        .allMatch(ModelRepository::isName)
        .allMatch(repository.models()::contains);
    for (Model model : survey.models()) {
      assertThat(model.versions()).isSortedAccordingTo(Comparator.reverseOrder());
      for (long version : model.versions()) {
        assertThat(version).isBetween(1L, ModelRepository.MAX_VERSION);
        try {
          assertThat(repository.open(model.name(), version).version()).isEqualTo(version);
        } catch (InvalidModelException e) {
          assertThat(e.getMessage()).isNotNull().doesNotContain("\n");
        }
      }
    }
  }

  /** Makes a file, unless it cannot be made or would lie, or lead, outside of the folder. */
  private static void make(Path root, String line) throws IOException {
    String[] words = line.split(" ", 3);
    if (words.length < 2) {
      return;
    }
    try {
      Path path = inside(root, root, words[1]);
      Path folder = path.resolveSibling("");
      String content = words.length > 2 ? words[2] : "";
      switch (words[0]) {
        case "d" -> Files.createDirectories(path);
        case "f" -> {
          Files.createDirectories(folder);
          Files.writeString(path, content);
        }
        case "l" -> {
          Files.createDirectories(folder);
          inside(root, folder, content);
          Files.createSymbolicLink(path, Path.of(content));
        }
        default -> {}
      }
    } catch (FileSystemException | InvalidPathException e) {
      // There is a file already, the name is too long, or none.
    }
  }

  private static Path inside(Path root, Path from, String name) throws FileSystemException {
    Path path = from.resolve(name).normalize();
    if (path.equals(root) || !path.startsWith(root) || !isInside(root, path)) {
      throw new FileSystemException(name);
    }
    return path;
  }

  /** Whether the folders of a path that exist are inside, whatever links there are. */
  private static boolean isInside(Path root, Path path) {
    for (Path at = path; at != null && !at.equals(root); at = at.getParent()) {
      if (Files.exists(at)) {
        try {
          return at.toRealPath().startsWith(root);
        } catch (IOException e) {
          return false;
        }
      }
    }
    return true;
  }

  private static void delete(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
