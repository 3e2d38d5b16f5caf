package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The first update of conditional networks, which leaves (1 - beta1) times the gradient. */
class ConditionalStepTest {

  // Its last kernel covers all positions of the features, each once.
  private static final Architecture NETWORKS = Architecture.paper(32, 1, 16, 4).withClasses(10);
  private static final int BATCH = 6; // of the labels 0 to 5
  private static final int CHANNELS = 16; // of the features
  private static final float BETA1 = 0.5f;

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());
  private final Generator generator = new Generator(manager, NETWORKS, 1);
  private final Discriminator discriminator = new Discriminator(manager, NETWORKS, 2);
  private final Adam generatorAdam = adam(generator);
  private final Adam discriminatorAdam = adam(discriminator);
  private float[] embedding = new float[0];
  private float[] kernel = new float[0];

  @BeforeEach
  void update() {
    embedding = weights(generator, "00Embedding_weight");
    kernel = weights(generator, "01ConvTranspose2d_weight");
    TrainingStep step =
        new TrainingStep(
            manager,
            NETWORKS,
            generator,
            generatorAdam,
            discriminator,
            discriminatorAdam,
            null,
            new Hyperparameters(1, BATCH, 1e-3f, BETA1, 0.999f, 1));
    NDArray batch = new BatchUpload(manager).upload(manager, Benchmark.noise(NETWORKS, BATCH));
    step.updateGenerator(batch, step.updateDiscriminator(batch)).close();
  }

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void update_changesTheClassesOfTheBatchAlone() {
    assertThat(changedRows(gradient(generator, generatorAdam, "00Embedding_weight")))
        .containsExactly(0, 1, 2, 3, 4, 5);
    assertThat(changedRows(gradient(discriminator, discriminatorAdam, "08Projection_weight")))
        .containsExactly(0, 1, 2, 3, 4, 5);
  }

  /**
   * The first layer is linear in its input x: the sum over images of x dx is the sum over weights
   * of w dw. The embedding is the input's end, and those weights are the kernel's last rows.
   */
  @Test
  void gradientOfTheEmbedding_isThatOfTheFirstLayersInput() {
    float[] ofEmbedding = gradient(generator, generatorAdam, "00Embedding_weight");
    float[] ofKernel = gradient(generator, generatorAdam, "01ConvTranspose2d_weight");
    int first = kernel.length / (16 + 32) * 16;

    double expected = 0;
    for (int i = first; i < kernel.length; i++) {
      expected += (double) kernel[i] * ofKernel[i];
    }
    double found = 0;
    for (int i = 0; i < embedding.length; i++) {
      found += (double) embedding[i] * ofEmbedding[i];
    }

    assertThat(Math.abs(expected)).isGreaterThan(1e-4);
    assertThat(found).isCloseTo(expected, withinPercentage(0.1));
  }

  /** Both multiply the features: the kernel each position, the projection their sum. */
  @Test
  void gradientOfTheProjection_isThatOfTheLastKernelSummed() {
    float[] ofProjection = gradient(discriminator, discriminatorAdam, "08Projection_weight");
    float[] ofKernel = gradient(discriminator, discriminatorAdam, "09Conv2d_weight");

    for (int channel = 0; channel < CHANNELS; channel++) {
      double expected = 0;
      for (int position = 0; position < 16; position++) {
        expected += ofKernel[channel * 16 + position];
      }
      double found = 0;
      for (int label = 0; label < NETWORKS.classes(); label++) {
        found += ofProjection[label * CHANNELS + channel];
      }

      assertThat(found).as("channel %d", channel).isCloseTo(expected, within(1e-5));
    }
  }

  private Adam adam(Network network) {
    return new Adam(manager, network, 1e-3f, BETA1, 0.999f);
  }

  private static float[] weights(Network network, String name) {
    return Objects.requireNonNull(network.parameters().get(name), name).getArray().toFloatArray();
  }

  private static float[] gradient(Network network, Adam adam, String name) {
    assertThat(network.parameters()).containsKey(name);
    float[] mean = Objects.requireNonNull(adam.moments().get(name + ".mean")).toFloatArray();
    for (int i = 0; i < mean.length; i++) {
      mean[i] /= 1 - BETA1;
    }
    return mean;
  }

  private static List<Integer> changedRows(float[] gradient) {
    int size = gradient.length / NETWORKS.classes();
    List<Integer> rows = new ArrayList<>();
    for (int row = 0; row < NETWORKS.classes(); row++) {
      for (int i = 0; i < size; i++) {
        if (gradient[row * size + i] != 0 && !rows.contains(row)) {
          rows.add(row);
        }
      }
    }
    return rows;
  }
}
