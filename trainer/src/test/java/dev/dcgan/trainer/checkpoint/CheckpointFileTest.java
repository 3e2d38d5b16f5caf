package dev.dcgan.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.trainer.config.Augmentation;
import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.DamagedFileException;
import dev.dcgan.trainer.torch.HostTensor;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.SafetensorsFile;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointFileTest {

  @TempDir Path folder;

  private Path file;

  @BeforeEach
  void write() throws IOException {
    file = folder.resolve("a.safetensors");
    CheckpointFile.write(file, checkpoint());
  }

  @Test
  void read_givesBackWhatWasWritten() throws IOException {
    Checkpoint read = HostTensor.copyOf(CheckpointFile.read(file));

    assertThat(read).usingRecursiveComparison().isEqualTo(checkpoint());
    assertThat(read.tensors().keySet()).containsExactly("first", "second");
  }

  @Test
  void write_sameCheckpoint_givesTheSameBytes() throws IOException {
    byte[] before = Files.readAllBytes(file);

    CheckpointFile.write(file, CheckpointFile.read(file));

    assertThat(Files.readAllBytes(file)).isEqualTo(before);
  }

  @Test
  void write_givesTheBytesOfAnIndependentWriter() throws Exception {
    assertThat(Files.readAllBytes(file))
        .isEqualTo(written(",\\\"precision\\\":\\\"FP32\\\",\\\"deterministic\\\":false"));
  }

  /** What the first program wrote: it knew neither precision nor determinism. */
  @Test
  void read_ofTheFirstProgramsFile_isInFp32() throws Exception {
    byte[] old = written("");
    assertThat(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(old)))
        .isEqualTo("202400d3298d9895e5efce560a121273bdaa02c6ba4d44b67f290ebff5fe6478");
    Files.write(file, old);

    Hyperparameters read = CheckpointFile.read(file).hyperparameters();

    assertThat(read.precision()).isEqualTo(Precision.FP32);
    assertThat(read.deterministic()).isFalse();
  }

  /** Header without its digest, then the values, are what is digested. */
  private static byte[] written(String newHyperparameters) throws Exception {
    String header =
        """
        {"__metadata__":{"format_version":"2","run":"{\\"architecture\\":\\"mnist28\\",\\"channels\\":1,\
        \\"latentSize\\":64,\\"width\\":16,\\"hyperparameters\\":{\\"epochs\\":25,\\"batchSize\\":128,\
        \\"generatorLearningRate\\":2.0E-4,\\"discriminatorLearningRate\\":2.0E-4,\\"beta1\\":0.5,\
        \\"beta2\\":0.999,\\"labelSmoothing\\":0.0,\\"emaDecay\\":0.0,\\"discriminatorSteps\\":1,\
        \\"seed\\":-1%s},\\"dataset\\":{\\"name\\":\\"digits\\",\\"sha256\\":\\"ab\\",\\"images\\":100},\
        \\"epoch\\":3,\\"step\\":99}"%s},"first":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
        "second":{"dtype":"F32","shape":[1],"data_offsets":[24,28]}}""";
    ByteBuffer values = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : new float[] {1, -2, 3.5f, 0, 1e-40f, 6, Float.MIN_VALUE}) {
      values.putFloat(value);
    }
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    digest.update(header.formatted(newHyperparameters, "").getBytes(StandardCharsets.UTF_8));
    String sha256 = HexFormat.of().formatHex(digest.digest(values.array()));
    byte[] json =
        header
            .formatted(newHyperparameters, ",\"sha256\":\"" + sha256 + "\"")
            .getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + 28)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(values.array())
        .array();
  }

  /** An older program would continue such a run without them. */
  @Test
  void write_withExtensions_givesThemBack_andOlderProgramsRefuseIt() throws IOException {
    Hyperparameters extended =
        new Hyperparameters(
            25,
            128,
            2e-4f,
            2e-4f,
            0.5f,
            0.999f,
            0,
            0,
            1,
            -1,
            Precision.FP32,
            false,
            new Extensions(true, Set.of(Augmentation.CUTOUT), true, 0.5f));
    Checkpoint before = checkpoint();
    CheckpointFile.write(
        file,
        new Checkpoint(
            before.architecture(),
            extended,
            before.dataset(),
            before.epoch(),
            before.step(),
            before.tensors()));

    assertThat(CheckpointFile.read(file).hyperparameters()).isEqualTo(extended);
    assertThatThrownBy(() -> new SafetensorsFile("checkpoint", 2).read(file))
        .hasMessageContaining("3");
  }

  @Test
  void write_withQuality_givesItBack_withTheSameWeights() throws IOException {
    Map<String, Double> quality = Map.of("frechet_distance", 4.25, "recall", Double.NaN);
    CheckpointFile.write(file, CheckpointFile.read(file).withQuality(quality));

    Checkpoint read = CheckpointFile.read(file);

    assertThat(read.quality()).isEqualTo(quality);
    assertThat(HostTensor.copyOf(read.withQuality(Map.of())))
        .usingRecursiveComparison()
        .isEqualTo(checkpoint());
  }

  @Test
  void tensors_ofAFileThatWasReplaced_areRefused() throws IOException {
    Checkpoint read = CheckpointFile.read(file);
    CheckpointFile.write(file, checkpoint().withQuality(Map.of("recall", 0.5)));

    assertThatThrownBy(() -> HostTensor.copyOf(read))
        .hasStackTraceContaining(DamagedFileException.class.getName())
        .hasStackTraceContaining("replaced");
  }

  @Test
  void write_leavesNoOtherFile() throws IOException {
    try (var entries = Files.list(folder)) {
      assertThat(entries).containsExactly(file);
    }
  }

  @Test
  void read_whenAValueChanged_refuses() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);

    assertThatThrownBy(() -> CheckpointFile.read(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("SHA-256");
  }

  @Test
  void read_whenTheHeaderChanged_refuses() throws IOException {
    for (String[] change :
        new String[][] {
          {"\"shape\":[2,3]", "\"shape\":[3,2]"},
          {"epoch\\\":3", "epoch\\\":4"},
          {"\"data_offsets\":[0,24]", "\"data_offsets\":[4,28]"},
        }) {
      CheckpointFile.write(file, checkpoint());
      replaceText(change[0], change[1]);

      assertThatThrownBy(() -> CheckpointFile.read(file))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(file.toString())
          .hasMessageContaining("SHA-256");
    }
  }

  @Test
  void read_whenOurOwnPartsAreMissing_refuses() throws IOException {
    for (String key : new String[] {"format_version", "run", "sha256"}) {
      CheckpointFile.write(file, checkpoint());
      replaceText("\"" + key + "\":", "\"" + "x".repeat(key.length()) + "\":");

      assertThatThrownBy(() -> CheckpointFile.read(file))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(file.toString());
    }
  }

  @Test
  void read_whenTruncatedAnywhere_refuses() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    for (int length = 0; length < bytes.length; length += 7) {
      Files.write(file, Arrays.copyOf(bytes, length));

      assertThatThrownBy(() -> CheckpointFile.read(file))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(file.toString());
    }
  }

  @Test
  void read_ofANewerFormat_saysWhatIsSupported() throws IOException {
    replaceText("\"format_version\":\"2\"", "\"format_version\":\"9\"");

    assertThatThrownBy(() -> CheckpointFile.read(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("format_version 9")
        .hasMessageContaining("reads 1 to 3");
  }

  @Test
  void read_ofAConditionalRun_givesBackTheClasses() throws IOException {
    ImageClasses classes = new ImageClasses(List.of("cat", "dog"), List.of(30L, 70L));
    Checkpoint plain = checkpoint();
    Checkpoint conditional =
        new Checkpoint(
            plain.architecture().withClasses(2),
            plain.hyperparameters(),
            new Checkpoint.Dataset("pets", "ab", 100, classes),
            3,
            99,
            plain.tensors());

    CheckpointFile.write(file, conditional);

    Checkpoint read = HostTensor.copyOf(CheckpointFile.read(file));
    assertThat(read).usingRecursiveComparison().isEqualTo(conditional);
    assertThat(read.architecture().title()).contains("2 classes");
    assertThat(Files.readString(file, StandardCharsets.ISO_8859_1))
        .contains("\"format_version\":\"3\"")
        .contains("{\\\"name\\\":\\\"cat\\\",\\\"images\\\":30}");
    assertThatThrownBy(() -> new SafetensorsFile("checkpoint", 2).read(file))
        .as("an older program")
        .hasMessageContaining("format_version 3; this program reads 1 to 2");
  }

  @Test
  void read_ofSomethingElse_refuses() throws IOException {
    Files.writeString(file, "{}".repeat(100));

    assertThatThrownBy(() -> CheckpointFile.read(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.toString());
  }

  /** Changes text in the header; as long as before, so that all else stays in place. */
  private void replaceText(String old, String replacement) throws IOException {
    String text = Files.readString(file, StandardCharsets.ISO_8859_1);
    assertThat(text).contains(old);
    assertThat(replacement).hasSameSizeAs(old);
    Files.writeString(file, text.replace(old, replacement), StandardCharsets.ISO_8859_1);
  }

  private static Checkpoint checkpoint() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("first", HostTensor.of(new long[] {2, 3}, 1, -2, 3.5f, 0, 1e-40f, 6));
    tensors.put("second", HostTensor.of(new long[] {1}, Float.MIN_VALUE));
    return new Checkpoint(
        Architecture.mnist28(64, 16),
        new Hyperparameters(25, 128, 2e-4f, 0.5f, 0.999f, -1),
        new Checkpoint.Dataset("digits", "ab", 100),
        3,
        99,
        tensors);
  }
}
