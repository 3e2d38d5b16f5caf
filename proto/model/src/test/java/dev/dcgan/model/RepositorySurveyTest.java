package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.dcgan.model.RepositorySurvey.Model;
import dev.dcgan.model.RepositorySurvey.Skipped;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RepositorySurveyTest {

  @TempDir Path root;

  @Test
  void survey_listsModelsVersionsAndPins() throws IOException {
    file("faces/2/model.onnx");
    file("digits/1/model.onnx");
    file("digits/10/model.onnx");
    repository().pin("digits", 1);
    file("README.md");
    file("lost+found/1/model.onnx");
    file("@eaDir/1/model.onnx");
    file(".cache/1/model.onnx");
    Files.createDirectories(root.resolve("empty"));

    RepositorySurvey survey = repository().survey();

    assertThat(survey.models())
        .containsExactly(
            new Model("digits", List.of(10L, 1L), OptionalLong.of(1)),
            new Model("faces", List.of(2L), OptionalLong.empty()));
    assertThat(survey.skipped()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "Faces/1/model.onnx, Faces, lower-case",
    "My Model/1/model.onnx, My Model, rename",
    "faces/model.onnx, faces, faces/1/model.onnx",
    "faces/generator.pt, faces, faces/1/model.onnx",
    "faces/01/model.onnx, faces/01, leading zeros",
    "faces/v1/model.onnx, faces/v1, leading zeros",
    "faces/1.0/model.onnx, faces/1.0, leading zeros",
    "faces/0/model.onnx, faces/0, leading zeros",
    "models/faces/1/model.onnx, models, point --repository at it",
    "1/model.onnx, 1, point --repository at the folder above",
    "model.onnx, model.onnx, <model>/<version>/model.onnx",
    "digits.zip, digits.zip, <model>/<version>/model.onnx",
    "faces/1/model.pt, faces/1, torch.onnx.export",
    "faces/1/generator.pth, faces/1, torch.onnx.export",
    "faces/1/saved_model.pb, faces/1, tf2onnx",
    "faces/1/generator.onnx, faces/1, rename it to model.onnx",
    "faces/1/Model.ONNX, faces/1, rename it to model.onnx",
    "faces/1/README, faces/1, model.onnx is missing",
    "faces/1, faces/1, expected a folder",
  })
  void survey_namesWhatIsMisplaced(String file, String named, String remedy) throws IOException {
    file(file);
    file("good/1/model.onnx");

    RepositorySurvey survey = repository().survey();

    assertThat(survey.models()).extracting(Model::name).containsExactly("good");
    assertThat(survey.skipped()).singleElement().extracting(Skipped::path).hasToString(
        root.resolve(named).toString());
    assertThat(survey.skipped().get(0).reason()).contains(remedy).doesNotContain("\n");
  }

  @Test
  void survey_namesBrokenLinksAndLoops() throws IOException {
    file("good/1/model.onnx");
    Files.createSymbolicLink(root.resolve("broken"), Path.of("nowhere"));
    Files.createSymbolicLink(root.resolve("loop"), Path.of("loop"));
    Files.createSymbolicLink(root.resolve("self"), root);
    Files.createSymbolicLink(root.resolve("good/2"), Path.of("nowhere"));
    Files.createDirectories(root.resolve("weights/1"));
    Files.createSymbolicLink(root.resolve("weights/1/model.onnx"), Path.of("nowhere"));

    RepositorySurvey survey = repository().survey();

    assertThat(survey.models()).extracting(Model::name).containsExactly("good");
    assertThat(survey.skipped())
        .extracting(skipped -> root.relativize(skipped.path()).toString())
        .containsExactly("broken", "good/2", "loop", "self", "weights/1");
    assertThat(survey.skipped()).extracting(Skipped::reason).allMatch(r -> r.contains("link"));
    assertThat(repository().models()).containsExactly("good", "weights");
  }

  @Test
  void unreadableFolder_isNamed_andHidesNoOtherModel() throws IOException {
    file("good/1/model.onnx");
    Path upload = Files.createDirectories(root.resolve("upload"));
    Files.setPosixFilePermissions(upload, PosixFilePermissions.fromString("---------"));
    try {
      assumeFalse(Files.isReadable(upload), "this user may read everything");
      assertThat(repository().models()).containsExactly("good");
      assertThat(repository().survey().skipped())
          .singleElement()
          .satisfies(
              skipped -> assertThat(skipped.toString()).contains("upload cannot be read", "mode"));
    } finally {
      Files.setPosixFilePermissions(upload, PosixFilePermissions.fromString("rwx------"));
    }
  }

  @Test
  void survey_namesADamagedPin() throws IOException {
    file("good/1/model.onnx");
    Files.writeString(root.resolve("good/.serving-version"), "latest");

    RepositorySurvey survey = repository().survey();

    assertThat(survey.models()).extracting(Model::pinned).containsExactly(OptionalLong.empty());
    assertThat(survey.skipped()).singleElement().extracting(Skipped::reason).asString().contains(
        "pin");
  }

  private void file(String name) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.write(file, Models.ONNX);
  }

  private ModelRepository repository() {
    return new ModelRepository(root);
  }
}
