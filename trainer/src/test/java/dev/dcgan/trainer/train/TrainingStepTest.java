package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.JniUtils;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Augmentation;
import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.torch.Precision;
import java.io.IOException;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingStepTest {

  private static final Architecture NARROW = Architecture.mnist28(16, 8);
  private static final int BATCH = 6;
  private static final float BETA1 = 0.5f;

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());
  private final NDArray batch =
      new BatchUpload(manager).upload(manager, Benchmark.noise(NARROW, BATCH));

  @AfterEach
  void close() {
    manager.close();
  }

  /** Networks with what updates them. */
  private static final class Setup {
    final Generator generator;
    final Discriminator discriminator;
    final Adam generatorAdam;
    final Adam discriminatorAdam;
    final TrainingStep step;

    Setup(NDManager manager, Architecture architecture, boolean plain) {
      this(manager, architecture, plain, Extensions.NONE);
    }

    Setup(NDManager manager, Architecture architecture, boolean plain, Extensions extensions) {
      generator = new Generator(manager, architecture, 1, plain);
      discriminator = new Discriminator(manager, architecture, 2);
      generatorAdam = new Adam(manager, generator, 1e-3f, BETA1, 0.999f);
      discriminatorAdam = new Adam(manager, discriminator, 1e-3f, BETA1, 0.999f);
      step =
          new TrainingStep(
              manager,
              architecture,
              generator,
              generatorAdam,
              discriminator,
              discriminatorAdam,
              null,
              new Hyperparameters(
                  1,
                  BATCH,
                  1e-3f,
                  1e-3f,
                  BETA1,
                  0.999f,
                  0,
                  0,
                  1,
                  1,
                  Precision.FP32,
                  false,
                  extensions));
    }
  }

  @Test
  void updateDiscriminator_changesOnlyItsOwnParameters() {
    Setup setup = new Setup(manager, NARROW, false);
    List<float[]> mine = values(setup.discriminator.trainable());
    List<float[]> others = values(setup.generator.trainable());
    List<float[]> statistics = values(setup.discriminator.statistics());

    setup.step.updateDiscriminator(batch);

    assertAllDiffer(values(setup.discriminator.trainable()), mine);
    assertAllDiffer(values(setup.discriminator.statistics()), statistics);
    assertThat(values(setup.generator.trainable()))
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(others);
  }

  @Test
  void updateGenerator_changesOnlyItsOwnParameters() {
    Setup setup = new Setup(manager, NARROW, false);
    NDArray metrics = setup.step.updateDiscriminator(batch);
    List<float[]> mine = values(setup.generator.trainable());
    List<float[]> others = values(setup.discriminator.trainable());

    setup.step.updateGenerator(batch, metrics);

    assertAllDiffer(values(setup.generator.trainable()), mine);
    assertThat(values(setup.discriminator.trainable()))
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(others);
  }

  /** The first update leaves (1 - beta1) times the gradient in the mean. */
  @Test
  void gradientsOfTheLastBias_areThoseOfTheLosses() {
    Setup setup = new Setup(manager, NARROW, false);

    float[] metrics =
        setup.step.updateGenerator(batch, setup.step.updateDiscriminator(batch)).toFloatArray();

    // It is added to every logit: d/db softplus(-real) = score - 1, d/db softplus(fake) = score.
    double gradient = last(setup.discriminatorAdam.means()).getFloat() / (1 - BETA1);
    assertThat(gradient).isCloseTo((metrics[2] - 1 + metrics[3]) / 2, within(1e-6));
  }

  @Test
  void metrics_haveTheNormsOfTheGradients() {
    Setup setup = new Setup(manager, NARROW, false);

    float[] metrics =
        setup.step.updateGenerator(batch, setup.step.updateDiscriminator(batch)).toFloatArray();

    assertThat(metrics).hasSize(6);
    assertThat((double) metrics[4])
        .isCloseTo(norm(setup.discriminatorAdam.means()), withinPercentage(0.01));
    assertThat((double) metrics[5])
        .isCloseTo(norm(setup.generatorAdam.means()), withinPercentage(0.01));
  }

  /** Gradients of permuted weights are permuted in memory; Adam takes memory as it lies. */
  @Test
  void gradients_ofEveryFormulation_areThoseOfPyTorchsOperator() {
    Setup fast = new Setup(manager, NARROW, false);
    Setup plain = new Setup(manager, NARROW, true);

    for (Setup setup : List.of(fast, plain)) {
      setup.step.updateGenerator(batch, setup.step.updateDiscriminator(batch));
    }

    List<float[]> means = values(fast.generatorAdam.means());
    List<float[]> expected = values(plain.generatorAdam.means());
    float largest =
        plain.generatorAdam.means().stream()
            .map(NDArray::abs)
            .map(NDArray::max)
            .map(NDArray::getFloat)
            .max(Float::compare)
            .orElseThrow();
    for (int i = 0; i < means.size(); i++) {
      assertThat(means.get(i))
          .as("parameter %d", i)
          .usingComparatorWithPrecision(1e-4f * largest)
          .containsExactly(expected.get(i));
    }
  }

  /** With the same latents, sharing the fakes only saves work. */
  @Test
  void updateBoth_isTheTwoUpdates_ofTheSameFakes() {
    Setup shared = new Setup(manager, NARROW, false, new Extensions(false, Set.of(), true, 0));
    Setup apart = new Setup(manager, NARROW, false);
    float[] values = batch.toFloatArray();
    int latents = BATCH * NARROW.latentSize();
    int first = BATCH * NARROW.shape().values();
    System.arraycopy(values, first, values, first + latents, latents);
    NDArray sameLatents = manager.create(values);

    float[] metrics = shared.step.updateBoth(sameLatents).toFloatArray();
    float[] expected =
        apart
            .step
            .updateGenerator(sameLatents, apart.step.updateDiscriminator(sameLatents))
            .toFloatArray();

    assertThat(metrics).containsExactly(expected);
    assertThat(values(shared.generator.trainable()))
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(values(apart.generator.trainable()));
    assertThat(values(shared.discriminator.trainable()))
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(values(apart.discriminator.trainable()));
  }

  /** Fresh fakes are those of the batch's second latents; shared ones are of the first alone. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void secondLatents_changeTheGeneratorsUpdate_unlessFakesAreShared(boolean shared) {
    Extensions extensions = new Extensions(false, Set.of(), shared, 0);
    float[] values = batch.toFloatArray();
    int second = BATCH * (NARROW.shape().values() + NARROW.latentSize());
    for (int i = 0; i < BATCH * NARROW.latentSize(); i++) {
      values[second + i] = -values[second + i];
    }
    Setup one = new Setup(manager, NARROW, false, extensions);
    Setup other = new Setup(manager, NARROW, false, extensions);

    update(one, batch, shared);
    update(other, manager.create(values), shared);

    assertThat(values(other.discriminator.trainable()))
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(values(one.discriminator.trainable()));
    if (shared) {
      assertThat(values(other.generator.trainable()))
          .usingRecursiveFieldByFieldElementComparator()
          .isEqualTo(values(one.generator.trainable()));
    } else {
      assertAllDiffer(values(other.generator.trainable()), values(one.generator.trainable()));
    }
  }

  /**
   * The numbers of one use change what its images give and nothing before: those of real images
   * D(x), those of the discriminator's fakes D(G(z)), those of the generator's its loss.
   */
  @ParameterizedTest
  @CsvSource({
    "0, 2, false",
    "1, 3, false",
    "2, 1, false",
    "0, 2, true",
    "1, 3, true",
    "2, 1, true"
  })
  void augmentation_isOfRealImages_andOfTheFakesOfBothUpdates(
      int use, int changed, boolean shared) {
    Extensions extensions = new Extensions(false, EnumSet.allOf(Augmentation.class), shared, 0);
    Batch noise = Benchmark.noise(NARROW, true, BATCH);
    NDArray numbers = new BatchUpload(manager).upload(manager, noise);
    float[] values = numbers.toFloatArray();
    int each = BATCH * DiffAugment.VALUES;
    int first = BATCH * (NARROW.shape().values() + 2 * NARROW.latentSize()) + use * each;
    for (int i = first; i < first + each; i++) {
      values[i] = 1 - values[i] / 2;
    }

    float[] metrics = update(new Setup(manager, NARROW, false, extensions), numbers, shared);
    float[] others =
        update(new Setup(manager, NARROW, false, extensions), manager.create(values), shared);

    // The scores, and with them the discriminator's loss, are from before its update.
    for (int metric : List.of(0, 2, 3)) {
      boolean isOfUse = metric == changed || (metric == 0 && use < 2);
      assertThat(others[metric] != metrics[metric]).as("metric %d", metric).isEqualTo(isOfUse);
    }
    assertThat(others[1]).as("the generator's loss").isNotEqualTo(metrics[1]);
  }

  /** One step; returns its metrics. */
  private static float[] update(Setup setup, NDArray batch, boolean shared) {
    NDArray metrics =
        shared
            ? setup.step.updateBoth(batch)
            : setup.step.updateGenerator(batch, setup.step.updateDiscriminator(batch));
    return metrics.toFloatArray();
  }

  @Test
  void updates_leaveGradientsOff_andNoGraph() {
    Setup setup = new Setup(manager, NARROW, false);

    NDArray metrics = setup.step.updateGenerator(batch, setup.step.updateDiscriminator(batch));

    assertThat(JniUtils.isGradMode()).isFalse();
    assertThat(metrics.hasGradient()).isFalse();
    assertThat(setup.generator.trainable()).noneMatch(NDArray::hasGradient);
  }

  @Test
  void steps_leaveNothingInTheManagerButTheirMetrics() throws IOException {
    Hyperparameters hyperparameters =
        new Hyperparameters(1, BATCH, 1e-3f, 1e-3f, 0.5f, 0.999f, 0.1f, 0.9f, 2, 1);
    GanNetworks networks =
        new GanNetworks(
            manager,
            NARROW,
            hyperparameters,
            new Checkpoint.Dataset("noise", "", 4 * BATCH),
            false,
            phase -> {});
    Batch noise = Benchmark.noise(NARROW, BATCH);
    Batch more = new Batch(1, 0, noise.positions(), false, noise.values());
    networks.step(() -> more).values().close();
    int arrays = manager.getManagedArrays().size();

    StepMetrics metrics = networks.step(() -> more);

    assertThat(metrics.images()).isEqualTo(2 * BATCH);
    assertThat(manager.getManagedArrays()).hasSize(arrays + 1);
    metrics.values().close();
    assertThat(manager.getManagedArrays()).hasSize(arrays);
  }

  private static List<float[]> values(NDList arrays) {
    return arrays.stream().map(NDArray::toFloatArray).toList();
  }

  private static void assertAllDiffer(List<float[]> now, List<float[]> before) {
    for (int i = 0; i < before.size(); i++) {
      assertThat(now.get(i)).as("array %d", i).isNotEqualTo(before.get(i));
    }
  }

  private static NDArray last(NDList arrays) {
    return arrays.get(arrays.size() - 1);
  }

  private static double norm(NDList means) {
    double squares = 0;
    for (float[] values : values(means)) {
      for (float value : values) {
        double gradient = value / (1 - BETA1);
        squares += gradient * gradient;
      }
    }
    return Math.sqrt(squares);
  }
}
