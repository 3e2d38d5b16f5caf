package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.latent.Labels;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ConditionalNetworkTest {

  private static final int CLASSES = 5;
  private static final Architecture PLAIN = Architecture.paper(32, 1, 10, 4);
  private static final Architecture CONDITIONAL = PLAIN.withClasses(CLASSES);

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void parameters_areThoseOfThePlainNetworks_andOneMore() {
    assertThat(new Generator(manager, CONDITIONAL, 1).parameters().keySet())
        .startsWith("00Embedding_weight")
        .containsAll(new Generator(manager, PLAIN, 1).parameters().keySet());
    Map<String, Parameter> discriminator = new Discriminator(manager, CONDITIONAL, 1).parameters();
    assertThat(discriminator.keySet())
        .contains("08Projection_weight")
        .hasSize(new Discriminator(manager, PLAIN, 1).parameters().size() + 1)
        .containsAll(new Discriminator(manager, PLAIN, 1).parameters().keySet());
  }

  @Test
  void embedding_isDrawnAsLatentsAre() {
    NDArray embedding =
        array(new Generator(manager, PLAIN.withClasses(100), 1), "00Embedding_weight");

    assertThat(embedding.getShape()).isEqualTo(new Shape(100, 32));
    assertThat(embedding.mean().getFloat()).isCloseTo(0, within(0.08f)); // four standard errors
    assertThat(embedding.square().mean().getFloat()).isCloseTo(1, within(0.1f));
  }

  @Test
  void generate_takesTheEmbeddingOfTheLabel() {
    Generator generator = new Generator(manager, CONDITIONAL, 1);
    float[] table = array(generator, "00Embedding_weight").toFloatArray();
    float[] latents = manager.randomNormal(new Shape(2, 10)).toFloatArray();
    float[] input = new float[2 * 42];
    for (int i = 0; i < 2; i++) {
      System.arraycopy(latents, i * 10, input, i * 42, 10);
      for (int j = 0; j < 32; j++) {
        input[i * 42 + 10 + j] = table[(3 - i) * 32 + j] / 8; // labels 3 and 2
      }
    }

    NDArray images = generator.generate(manager, latents, new long[] {3, 2}, 2);

    assertThat(images.toFloatArray())
        .isEqualTo(generator.forward(manager.create(input, new Shape(2, 42, 1, 1))).toFloatArray());
  }

  @Test
  void append_mixesTwoClasses() {
    ClassEmbedding embedding = new ClassEmbedding(2, 2, new float[] {1, 2, 3, -6});

    float[] all =
        embedding.append(
            new float[] {9, 8, 7, 6},
            new long[] {1, Labels.mixture(0, 1, 16_384, 2), Labels.mixture(1, 0, 32_768, 2), 0},
            4);

    assertThat(all).containsExactly(9, 3, -6, 8, 1.5f, 0, 7, 2, -2, 6, 1, 2);
  }

  @Test
  void append_refusesLabelsThatAreNone() {
    ClassEmbedding embedding = new ClassEmbedding(2, 1, new float[2]);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> embedding.append(new float[1], new long[] {4L * 65_536}, 1))
        .withMessageContaining("label 262144; expected 0 to 262143");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> embedding.append(new float[2], new long[] {1}, 2))
        .withMessageContaining("1 labels for 2 images");
  }

  /** The last kernel covers every position of the features: one that is equal everywhere sums. */
  @Test
  void projection_isTheInnerProductWithTheSummedFeatures() {
    Discriminator discriminator = new Discriminator(manager, CONDITIONAL, 1);
    NDArray images = manager.randomUniform(-1, 1, new Shape(3, 1, 32, 32));
    NDArray labels = manager.create(new long[] {4, 0, 2});
    NDArray projection = array(discriminator, "08Projection_weight");
    float[] vectors = projection.toFloatArray();
    NDArray kernel = array(discriminator, "09Conv2d_weight");
    float[] bias = array(discriminator, "09Conv2d_bias").toFloatArray();
    Network.assign(kernel, new float[16 * 16]);
    float[] projected = discriminator.forward(images, labels).toFloatArray();
    Network.assign(projection, new float[CLASSES * 16]);

    for (int i = 0; i < 3; i++) {
      int label = (int) labels.toLongArray()[i];
      float[] spread = new float[16 * 16];
      for (int channel = 0; channel < 16; channel++) {
        Arrays.fill(spread, channel * 16, (channel + 1) * 16, vectors[label * 16 + channel]);
      }
      Network.assign(kernel, spread);
      float expected = discriminator.forward(images, labels).toFloatArray()[i];

      assertThat(expected).isNotCloseTo(bias[0], within(1e-3f));
      assertThat(projected[i]).isCloseTo(expected, within(1e-5f));
    }
  }

  private static NDArray array(Network network, String name) {
    return Objects.requireNonNull(network.parameters().get(name), name).getArray();
  }
}
