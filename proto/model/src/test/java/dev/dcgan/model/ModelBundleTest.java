package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import com.google.protobuf.util.JsonFormat;
import com.sun.management.ThreadMXBean;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.v1.ModelManifest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Most tests damage a valid published version. */
class ModelBundleTest {

  private static final int LONG_TEXT = 16 << 20;

  @TempDir Path root;
  private Path folder;
  private Path onnx;
  private Path manifest;

  @BeforeEach
  void publish() throws IOException {
    folder =
        new ModelRepository(root).publish(Models.draft("digits").build(), Models.ONNX).folder();
    onnx = folder.resolve("model.onnx");
    manifest = folder.resolve("manifest.json");
  }

  @Test
  void open_givesWhatWasPublished() throws IOException {
    ModelBundle bundle = ModelBundle.open(folder, null);

    assertThat(bundle.readModel()).isEqualTo(Models.ONNX);
    assertThat(bundle.shape()).isEqualTo(new ImageShape(2, 3, 1));
    assertThat(bundle.latentSize()).isEqualTo(5);
    assertThat(bundle.manifest().getFormatVersion()).isEqualTo(ModelBundle.FORMAT_VERSION);
    assertThat(bundle.manifest().getGoldenList()).isEqualTo(Models.draft("digits").getGoldenList());
    assertThat(bundle).hasToString("digits/1");
  }

  @Test
  void open_givesTheClassesOfAConditionalModel() throws IOException {
    ModelBundle bundle = ModelBundle.open(publishConditional(), null);

    assertThat(bundle.manifest().getFormatVersion())
        .isEqualTo(ModelBundle.CONDITIONAL_FORMAT_VERSION);
    assertThat(bundle.classes()).get().hasToString("cat (0), dog (1)");
  }

  @Test
  void open_refusesClassesThatCannotBe() throws IOException {
    folder = publishConditional();
    manifest = folder.resolve("manifest.json");
    String valid = Files.readString(manifest);
    int label = ModelBundle.open(folder, null).manifest().getGolden(0).getLabel();

    edit(m -> m.getGoldenBuilder(0).setLabel(1 - label));
    assertRefused(
        "golden vector of (seed 1, index 0): label %d; expected %d".formatted(1 - label, label));
    Files.writeString(manifest, valid);
    edit(m -> m.getClassesBuilder(1).setName("cat"));
    assertRefused("class 1 has the name 'cat'; expected a name that no other class has");
    Files.writeString(manifest, valid);
    edit(m -> m.setLabelScheme("mersenne/1"));
    assertRefused("has the label scheme 'mersenne/1'; expected 'philox4x32-10/counts/1'");
    Files.writeString(manifest, valid);
    edit(ModelManifest.Builder::clearClasses);
    assertRefused("has format_version 3 and 0 classes; expected classes in version 3 alone");
  }

  private Path publishConditional() throws IOException {
    ImageClasses classes = new ImageClasses(List.of("cat", "dog"), List.of(2L, 3L));
    ModelManifest.Builder draft =
        Models.draft("pets").addAllClasses(classes.toProto()).setLabelScheme(Labels.SCHEME);
    draft
        .getGoldenBuilderList()
        .forEach(golden -> golden.setLabel(classes.draw(golden.getSeed(), golden.getIndex())));
    return new ModelRepository(root).publish(draft.build(), Models.ONNX).folder();
  }

  @Test
  void open_worksThroughARelativePath() throws IOException {
    Path here = Path.of("").toAbsolutePath();

    assertThat(ModelBundle.open(here.relativize(folder).resolve("."), null))
        .hasToString("digits/1");
  }

  @Test
  void open_refusesATruncatedModel() throws IOException {
    Files.write(onnx, Arrays.copyOf(Models.ONNX, 10));

    assertRefused("model.onnx has 10 bytes; its manifest says " + Models.ONNX.length);
  }

  @Test
  void open_refusesAFlippedByte() throws IOException {
    byte[] damaged = Models.ONNX.clone();
    damaged[7] ^= 1;
    Files.write(onnx, damaged);

    assertRefused(
        "model.onnx has SHA-256 %s; its manifest says %s"
            .formatted(new Sha256().add(damaged).hex(), new Sha256().add(Models.ONNX).hex()));
  }

  @Test
  void readModel_whenTheFileChangesAfterOpen_refusesIt() throws IOException {
    ModelBundle bundle = ModelBundle.open(folder, null);
    byte[] damaged = Models.ONNX.clone();
    damaged[7] ^= 1;
    Files.write(onnx, damaged);

    assertThatThrownBy(bundle::readModel)
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("SHA-256");
  }

  @Test
  void requireUnchanged_noticesAChangedOrReplacedFile() throws IOException {
    ModelFile file = ModelBundle.open(folder, null).openModel();
    file.requireUnchanged();
    assertThat(Files.readAllBytes(file.path())).isEqualTo(Models.ONNX);

    FileTime time = Files.getLastModifiedTime(onnx);
    Path other = Files.write(root.resolve("other"), Models.ONNX);
    Files.setLastModifiedTime(other, time);
    Files.move(other, onnx, StandardCopyOption.ATOMIC_MOVE);
    assertThatThrownBy(file::requireUnchanged)
        .as("as large and as old, but another file")
        .isInstanceOf(IOException.class)
        .isNotInstanceOf(InvalidModelException.class)
        .hasMessageContaining("changed while it was read");

    ModelFile replaced = ModelBundle.open(folder, null).openModel();
    Files.setLastModifiedTime(onnx, FileTime.fromMillis(time.toMillis() + 1));
    assertThatThrownBy(replaced::requireUnchanged).hasMessageContaining("changed");
  }

  @Test
  void requireSelfContained_refusesWhatIsNestedWithoutEnd() throws IOException {
    // A graph in a graph in a graph ...
    byte[] nested = {};
    for (int depth = 0; depth < 150; depth++) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      CodedOutputStream coded = CodedOutputStream.newInstance(out);
      coded.writeByteArray(depth % 3 == 0 ? 6 : depth % 3 == 1 ? 5 : 1, nested);
      coded.flush();
      nested = out.toByteArray();
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    CodedOutputStream coded = CodedOutputStream.newInstance(out);
    coded.writeByteArray(7, nested);
    coded.flush();
    Files.write(onnx, out.toByteArray());
    assertThatThrownBy(() -> ModelFile.digest(onnx).requireSelfContained())
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("nested more than 100 levels");
  }

  @Test
  void externalData_isNamed_withoutReadingLongTexts() throws IOException {
    // model.graph.initializer { data_location: EXTERNAL external_data { key: .. value: .. } }
    ByteArrayOutputStream location = new ByteArrayOutputStream();
    CodedOutputStream coded = CodedOutputStream.newInstance(location);
    coded.writeString(1, "location");
    coded.writeTag(2, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    coded.writeUInt32NoTag(LONG_TEXT);
    coded.flush();
    byte[] start = location.toByteArray();
    ByteArrayOutputStream model = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(model);
    int tensor = 2 + 1 + 5 + start.length + LONG_TEXT;
    for (int[] message : new int[][] {{7, tensor + 6}, {5, tensor}}) {
      out.writeTag(message[0], WireFormat.WIRETYPE_LENGTH_DELIMITED);
      out.writeUInt32NoTag(message[1]);
    }
    out.writeInt32(14, 1);
    out.writeTag(13, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    out.writeUInt32NoTag(start.length + LONG_TEXT);
    out.flush();
    model.write(start);
    model.write("../../etc/\n".getBytes(StandardCharsets.UTF_8));
    InputStream rest = new ByteArrayInputStream(new byte[LONG_TEXT - 11]);
    InputStream file = new SequenceInputStream(new ByteArrayInputStream(model.toByteArray()), rest);

    ThreadMXBean memory = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = memory.getCurrentThreadAllocatedBytes();
    assertThatThrownBy(() -> ExternalData.refuse(onnx, file))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("external data")
        .hasMessageContaining("'../../etc/?")
        .message()
        .hasSizeLessThan(1000);
    assertThat(memory.getCurrentThreadAllocatedBytes() - before).isLessThan(LONG_TEXT / 2);
  }

  @Test
  void describe_leavesTheDigestToReadModel() throws IOException {
    byte[] damaged = Models.ONNX.clone();
    damaged[7] ^= 1;
    Files.write(onnx, damaged);

    ModelBundle bundle = ModelBundle.describe(folder, null);

    assertThat(bundle.manifest().getModel().getSha256())
        .isEqualTo(new Sha256().add(Models.ONNX).hex());
    assertThatThrownBy(bundle::readModel)
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("SHA-256");
  }

  @Test
  void describe_refusesATruncatedModel_andARenamedFolder() throws IOException {
    Path renamed = Files.move(folder, root.resolve("digits/2"));
    assertThatThrownBy(() -> ModelBundle.describe(renamed, null))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("was the folder renamed?");

    Files.write(renamed.resolve("model.onnx"), new byte[10]);
    assertThatThrownBy(() -> ModelBundle.describe(renamed, null))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("has 10 bytes; its manifest says");
  }

  @Test
  void open_refusesAMissingModel() throws IOException {
    Files.delete(onnx);

    assertRefused("model.onnx is missing");
  }

  @Test
  void open_refusesAMissingManifest() throws IOException {
    Files.delete(manifest);

    assertRefused("manifest.json is missing");
  }

  @Test
  void open_refusesAFolderThatIsNotThere() throws IOException {
    folder = root.resolve("digits/2");

    assertRefused("digits/2 is incomplete");
  }

  @Test
  void open_refusesANewerFormatEvenWithFieldsItDoesNotKnow() throws IOException {
    Files.writeString(manifest, "{\"compression\": {\"kind\": \"zstd\"}, \"formatVersion\": 4}");

    assertRefused("has format_version 4; expected 2 or 3: use a newer program");
  }

  @Test
  void open_refusesTheFirstFormatAndSaysWhatToDo() throws IOException {
    String current = Files.readString(manifest);
    Files.writeString(
        manifest,
        current
            .replace("\"formatVersion\": 2", "\"formatVersion\": 1")
            .replace("\"latentScheme\"", "\"latentLaw\"")
            .replace("\"pixelQuantization\"", "\"normalisation\""));

    assertRefused("has format_version 1; expected 2 or 3: publish the model again");
  }

  @Test
  void open_refusesAManifestWithoutAFormat() throws IOException {
    Files.writeString(manifest, "{}");

    assertRefused("has no format_version; expected 2");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "7",
        "{",
        "{\"formatVersion\": \"one\"}",
        "not json",
        "\u0000\u0001",
        "{\"golden\": 3}"
      })
  void open_refusesGarbageForAManifest(String garbage) throws IOException {
    Files.writeString(manifest, garbage);

    assertRefused("manifest.json is not a model manifest: ");
  }

  @Test
  void open_refusesATruncatedManifest() throws IOException {
    String json = Files.readString(manifest);
    Files.writeString(manifest, json.substring(0, json.length() / 2));

    assertRefused("manifest.json is not a model manifest: ");
  }

  @Test
  void open_refusesAnotherLatentScheme() throws IOException {
    edit(m -> m.setLatentScheme("mersenne/1"));

    assertRefused("latent sampling scheme 'mersenne/1'; expected '%s'".formatted(Latents.SCHEME));
  }

  @Test
  void open_refusesAGoldenLatentOfAnotherScheme() throws IOException {
    edit(m -> m.getGoldenBuilder(1).setIndex(8));

    assertRefused("golden vector of (seed 18446744073709551615, index 8): the latent differs");
  }

  @Test
  void open_refusesAGoldenLatentOfAnotherSize() throws IOException {
    edit(m -> m.setLatentSize(6));

    assertRefused("the latent differs");
  }

  @Test
  void open_refusesAManifestWithoutGoldenVectors() throws IOException {
    edit(ModelManifest.Builder::clearGolden);

    assertRefused("has no golden vectors");
  }

  @Test
  void open_refusesTooManyGoldenVectors() throws IOException {
    edit(
        m -> {
          for (int i = 0; i < 63; i++) {
            m.addGolden(m.getGolden(0));
          }
        });

    assertRefused("has 65 golden vectors; expected at most 64");
  }

  @Test
  void open_refusesALongDescription() throws IOException {
    edit(m -> m.setArchitecture("x".repeat(1 << 20)));

    assertRefused("without its golden vectors; expected at most 1048576");
  }

  @Test
  void open_refusesAManifestOf50Megabytes() throws IOException {
    Files.write(manifest, new byte[50_000_000]);

    assertRefused("manifest.json has 50000000 bytes; expected at most 16777216");
  }

  /** Each costs a parser much more memory or time than it has bytes. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"golden\": [{\"seed\": 1e999999999}]}",
        "{\"golden\": [{\"seed\": \"1E+999999999\"}]}",
        "{\"golden\": [{'seed': '1e-999999999'}]}",
        "{\"golden\": [{\"seed\": \"1\\u0065999999999\"}]}",
        "{\"golden\": [{\"seed\": \"\u0661e999999999\"}]}",
        "/* \" */ {\"golden\": [{\"seed\": 1e999999999}]}",
        ")]}'\n{\"golden\": [{\"seed\": 1e999999999}]}",
        "{a: b\"c, \"golden\": [{\"seed\": 1e999999999}]}",
        "{\"onnxBytes\": DIGITS}",
        "{\"onnxBytes\": \"DIGITS\"}",
        "{\"unknown\": ARRAY}",
        "{\"unknown\": DEEP}"
      })
  void open_refusesAManifestThatParsersChokeOn(String json) throws IOException {
    Files.writeString(
        manifest,
        json.replace("DIGITS", "1".repeat(10_000_000))
            .replace("ARRAY", "[" + "{},".repeat(5_000_000) + "{}]")
            .replace("DEEP", "[".repeat(8_000_000)));

    assertRefused("expected one as the trainer writes it");
  }

  @Test
  void open_refusesAGoldenImageOfAnotherShape() throws IOException {
    edit(m -> m.getGoldenBuilder(0).setPixels(ByteString.copyFrom(new byte[7])));

    assertRefused("golden vector of (seed 1, index 0): 7 pixel bytes; expected 6 for 2x3x1");
  }

  @Test
  void open_refusesAShapeThatIsNoImages() throws IOException {
    edit(m -> m.getShapeBuilder().setChannels(2));

    assertRefused("image with 2 channels; expected 1 (grey) or 3 (RGB)");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 65_537, -1})
  void open_refusesAnImpossibleLatentSize(int size) throws IOException {
    edit(m -> m.setLatentSize(size));

    assertRefused(
        "has latent_size %s; expected 1 to 65536".formatted(Integer.toUnsignedString(size)));
  }

  @Test
  void open_refusesARenamedVersion() throws IOException {
    folder = Files.move(folder, folder.resolveSibling("9"));

    assertRefused("9 holds the manifest of 'digits/1'; was the folder renamed?");
  }

  @Test
  void open_refusesARenamedModel() throws IOException {
    Files.move(root.resolve("digits"), root.resolve("faces"));
    folder = root.resolve("faces/1");

    assertRefused("holds the manifest of 'digits/1'; was the folder renamed?");
  }

  @Test
  void open_refusesANameThatNoFolderCanHave() throws IOException {
    edit(m -> m.getModelBuilder().setName("\u0000"));

    assertRefused("was the folder renamed?");
  }

  private void assertRefused(String reason) {
    assertThatThrownBy(() -> ModelBundle.open(folder, null))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageStartingWith(folder.toString())
        .hasMessageContaining(reason)
        .message()
        .doesNotContain("\n");
  }

  private void edit(Consumer<ModelManifest.Builder> change) throws IOException {
    ModelManifest.Builder edited = ModelManifest.newBuilder();
    JsonFormat.parser().merge(Files.readString(manifest), edited);
    change.accept(edited);
    Files.writeString(manifest, JsonFormat.printer().print(edited));
  }
}
