package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import ai.onnxruntime.OrtException;
import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ImageShape;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OnnxModelTest {

  private static final int LATENT = TestModels.LATENT;
  private static final float[] Z = latents(9);

  @TempDir private Path root;

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void images_doNotDependOnTheirBatch(int channels) throws IOException {
    ModelBundle bundle = TestModels.publish(repository(), "m", channels, 1);
    try (Network network = open(bundle, 9, 2)) {
      for (Output output : Output.values()) {
        byte[] together = network.generate(Z, output).bytes();
        int size = network.imageBytes(output);
        for (int i = 0; i < 9; i++) {
          float[] z = Arrays.copyOfRange(Z, i * LATENT, (i + 1) * LATENT);
          assertThat(network.generate(z, output).bytes())
              .isEqualTo(Arrays.copyOfRange(together, i * size, (i + 1) * size));
        }
      }
    }
  }

  @Test
  void pixels_areTheFloatsRounded_channelsLast() throws IOException {
    ModelBundle bundle = TestModels.publish(repository(), "m", 3, 1);
    try (Network network = open(bundle, 9, 1)) {
      byte[] pixels = network.generate(Z, Output.PIXELS).bytes();
      var floats =
          ByteBuffer.wrap(network.generate(Z, Output.FLOATS).bytes())
              .order(ByteOrder.LITTLE_ENDIAN)
              .asFloatBuffer();
      int area = 14 * 14;
      for (int i = 0; i < pixels.length; i++) {
        int image = i / (3 * area);
        int pixel = i % (3 * area) / 3;
        float x = floats.get(image * 3 * area + i % 3 * area + pixel);
        assertThat(pixels[i] & 0xFF).isEqualTo((int) Math.rint((x + 1) * 127.5f));
      }
      assertThat(pixels).as("an image, not a plain colour").contains(0x10, 0x80, 0xE0);
    }
  }

  @Test
  void open_whenNotOnnx_rejectsTheVersion() throws IOException {
    GeneratorWeights weights = TestModels.weights(1, 1);
    ModelBundle bundle =
        repository()
            .publish(
                TestModels.manifest("m", weights, TestModels.golden(weights)),
                "not a model".getBytes(StandardCharsets.UTF_8));
    assertRejected(bundle, "cannot use", "is not an ONNX model");
  }

  @Test
  void open_whenTheLatentSizeDiffers_rejectsTheVersion() throws IOException {
    ModelBundle bundle =
        publish(
            m ->
                m.setLatentSize(4)
                    .clearGolden()
                    .addGolden(
                        golden().toBuilder()
                            .setLatent(
                                ByteString.copyFrom(
                                    ModelBundle.littleEndian(Latents.of(0, 0, 4))))));
    assertRejected(bundle, "'z'", "FLOAT (-1, 8)", "expected FLOAT (-1, 4)");
  }

  @Test
  void open_whenTheImageShapeDiffers_rejectsTheVersion() throws IOException {
    ModelBundle bundle =
        publish(
            m ->
                m.setShape(ImageShape.newBuilder().setHeight(7).setWidth(28).setChannels(1))
                    .clearGolden()
                    .addGolden(golden()));
    assertRejected(bundle, "'pixels'", "UINT8 (-1, 14, 14, 1)", "expected UINT8 (-1, 7, 28, 1)");
  }

  @Test
  void signature_isReadFromTheModelItself() throws IOException {
    byte[] onnx = TestModels.onnx(TestModels.weights(3, 1));
    assertThat(OnnxSignatures.read(file(onnx), 16))
        .isEqualTo(
            new Signature(
                "z",
                LATENT,
                false,
                null,
                new dev.dcgan.model.ImageShape(14, 14, 3),
                "image",
                "pixels",
                0,
                OutputRange.SIGNED));
  }

  @Test
  void modelOfAnotherProgram_hasTheSameImages() throws IOException {
    GeneratorWeights weights = TestModels.weights(3, 1);
    byte[] onnx = TestModels.handmade(weights);
    assertThat(OnnxSignatures.read(file(onnx), 16))
        .isEqualTo(
            new Signature(
                "noise",
                LATENT,
                true,
                null,
                new dev.dcgan.model.ImageShape(14, 14, 3),
                "output",
                null,
                0,
                OutputRange.SIGNED));
    Path folder = Files.createDirectories(root.resolve("m/1"));
    Files.write(folder.resolve("model.onnx"), onnx);
    ModelBundle bundle = repository().openUnverified("m", 1, OnnxModel::describe);
    float[] latents = Latents.of(1, 0, 3 * LATENT);
    try (Network theirs = open(bundle, 4, 1);
        Network ours = open(TestModels.publish(repository(), "ours", 3, 1), 4, 1)) {
      for (Output output : Output.values()) {
        assertThat(theirs.generate(latents, output).bytes())
            .isEqualTo(ours.generate(latents, output).bytes());
      }
    }
  }

  @Test
  void signature_ofAModelThatIsNoGenerator_isRejected() {
    assertThatThrownBy(() -> OnnxSignatures.read(file(new byte[] {1, 2, 3}), 16))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("ONNX Runtime reports");
    assertThatThrownBy(() -> OnnxSignatures.read(file(CudaProbe.model()), 16))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("inputs ['x' FLOAT (1, 1, 2, 2)]; expected one, FLOAT (-1, latent)");
  }

  @Test
  void outOfMemory_isNoFaultOfTheVersion() {
    for (String message :
        List.of(
            "Failed to allocate memory for requested buffer of size 4294967296",
            "CUDA failure 2: out of memory",
            "std::bad_alloc")) {
      assertThat(RuntimeFailure.cannot("open", root, new OrtException(message)))
          .isNotInstanceOf(InvalidModelException.class)
          .hasMessageContaining(message);
    }
    assertThat(RuntimeFailure.cannot("open", root, new OrtException("No graph was found")))
        .isInstanceOf(InvalidModelException.class);
  }

  @Test
  void probe_isAModelThatRuns() throws OrtException {
    // So on CUDA only CUDA can be the reason of a failure.
    assertThat(CudaProbe.run(RuntimeSettings.cpu(1)))
        .containsExactly(1, 4, 4, 6, 20, 16, 9, 24, 16);
  }

  @Test
  void requireCuda_whereThereIsNone_fails() {
    // On a machine with a GPU and the CUDA build it succeeds.
    assumeThat(Path.of("/dev/nvidia0")).doesNotExist();
    assertThatThrownBy(() -> CudaProbe.require(0))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("cannot use CUDA device 0: ")
        .message()
        .doesNotContain("\n");
  }

  private Path file(byte[] onnx) throws IOException {
    return Files.write(root.resolve("model.onnx"), onnx);
  }

  private static void assertRejected(ModelBundle bundle, String... facts) {
    assertThatThrownBy(() -> open(bundle, 2, 1).close())
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll(facts);
  }

  private ModelBundle publish(Consumer<ModelManifest.Builder> change) throws IOException {
    GeneratorWeights weights = TestModels.weights(1, 1);
    ModelManifest.Builder manifest =
        TestModels.manifest("m", weights, TestModels.golden(weights)).toBuilder();
    change.accept(manifest);
    return repository().publish(manifest.build(), TestModels.onnx(weights));
  }

  private static GoldenVector golden() {
    try {
      return TestModels.golden(TestModels.weights(1, 1)).get(0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ModelRepository repository() {
    return new ModelRepository(root);
  }

  private static float[] latents(int count) {
    float[] z = new float[count * LATENT];
    for (int i = 0; i < count; i++) {
      Latents.fill(3, i, z, i * LATENT, LATENT);
    }
    return z;
  }

  private static Network open(ModelBundle bundle, int maxBatch, int threads) throws IOException {
    return OnnxModel.open(bundle, new RuntimeSettings(Provider.CPU, threads, false, 0), maxBatch, 1)
        .get(0);
  }
}
