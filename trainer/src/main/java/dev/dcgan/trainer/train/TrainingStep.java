package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.config.Augmentation;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The updates of the discriminator and the generator, one TorchScript call each: forward pass,
 * loss, backward pass, Adam and EMA. Neither synchronizes with the device.
 *
 * <p>Both take a batch as one flat array: n images, n latents for the discriminator's update, n
 * latents for the generator's, with augmentation the numbers of {@link DiffAugment} for the real
 * images, the discriminator's fakes and the generator's, and with classes n labels. The fakes of
 * both updates have the labels of the batch's images.
 *
 * <p>With shared fakes, one call updates both networks: it computes the fakes once, from the
 * discriminator's latents.
 */
final class TrainingStep {

  private static final List<String> NETWORKS =
      List.of(
          "generator_weights",
          "generator_statistics",
          "generator_constants",
          "discriminator_weights",
          "discriminator_statistics",
          "discriminator_constants");
  private static final int INT64 = 4; // torch.int64 as TorchScript writes it
  private static final String GENERATOR = "generator";
  private static final String DISCRIMINATOR = "discriminator";
  private static final List<String> EMA = List.of("average_weights", "average_statistics");

  private final Architecture architecture;
  private final Set<Augmentation> augmentations;
  private final int generatorWeights;
  private final int discriminatorWeights;
  private final boolean averaging;
  private final List<NDList> discriminatorArguments;
  private final List<NDList> generatorArguments;
  private final PtSymbolBlock discriminatorUpdate;
  private final PtSymbolBlock generatorUpdate; // with shared fakes of both networks

  /**
   * Compiles the scripts.
   *
   * @param manager the manager that the scripts and the networks belong to
   * @param ema null if no EMA is kept
   */
  TrainingStep(
      NDManager manager,
      Architecture architecture,
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam,
      @Nullable GeneratorEma ema,
      Hyperparameters hyperparameters) {
    this.architecture = architecture;
    augmentations = hyperparameters.extensions().augmentations();
    generatorWeights = generator.trainable().size();
    discriminatorWeights = discriminator.trainable().size();
    averaging = ema != null;
    boolean shared = hyperparameters.extensions().sharedFakes();
    List<NDList> networks =
        List.of(
            generator.trainable(),
            generator.statistics(),
            generator.constants(),
            discriminator.trainable(),
            discriminator.statistics(),
            discriminator.constants());
    discriminatorArguments = new ArrayList<>(networks);
    discriminatorArguments.addAll(state(discriminatorAdam));
    generatorArguments = new ArrayList<>(networks);
    if (shared) {
      generatorArguments.addAll(state(discriminatorAdam));
    }
    generatorArguments.addAll(state(generatorAdam));
    if (ema != null) {
      generatorArguments.add(ema.generator().trainable());
      generatorArguments.add(ema.generator().statistics());
    }
    List<Function> functions = new ArrayList<>(generator.functions(GENERATOR, true));
    functions.addAll(discriminator.functions(DISCRIMINATOR, true));
    functions.addAll(generator.embeddingFunction());
    functions.add(DiffAugment.function(augmentations, architecture.shape()));
    List<Function> discriminatorFunctions =
        List.of(
            GanLoss.discriminator(hyperparameters.labelSmoothing()),
            GanLoss.score(),
            discriminatorAdam.function(adam(DISCRIMINATOR)));
    List<Function> generatorFunctions =
        new ArrayList<>(List.of(GanLoss.generator(), generatorAdam.function(adam(GENERATOR))));
    if (ema != null) {
      generatorFunctions.add(ema.function());
    }
    discriminatorUpdate =
        TorchScript.load(
            manager, concat(functions, discriminatorFunctions, List.of(discriminatorUpdate())));
    generatorUpdate =
        TorchScript.load(
            manager,
            shared
                ? concat(
                    functions, discriminatorFunctions, generatorFunctions, List.of(bothUpdates()))
                : concat(functions, generatorFunctions, List.of(generatorUpdate())));
  }

  private static List<NDList> state(Adam adam) {
    return List.of(adam.means(), adam.variances(), new NDList(adam.step()));
  }

  @SafeVarargs
  private static <T> List<T> concat(List<T> first, List<T>... more) {
    List<T> all = new ArrayList<>(first);
    for (List<T> each : more) {
      all.addAll(each);
    }
    return all;
  }

  private Function discriminatorUpdate() {
    return Function.forward(
        concat(List.of("batch"), NETWORKS, optimizer(DISCRIMINATOR)),
        lines(
            parts(),
            fakes("first_noise, second_noise", "generator_weights"),
            discriminatorLines("fake"),
            "return metrics"));
  }

  private Function generatorUpdate() {
    return Function.forward(
        concat(
            List.of("batch", "metrics"),
            NETWORKS,
            optimizer(GENERATOR),
            averaging ? EMA : List.of()),
        lines(
            parts(),
            leaves(GENERATOR, generatorWeights),
            fakes("second_noise, third", "generator_learned"),
            generatorLines(),
            "d = torch.unbind(metrics[0])",
            result()));
  }

  private Function bothUpdates() {
    return Function.forward(
        concat(
            List.of("batch"),
            NETWORKS,
            optimizer(DISCRIMINATOR),
            optimizer(GENERATOR),
            averaging ? EMA : List.of()),
        lines(
            parts(),
            leaves(GENERATOR, generatorWeights),
            fakes("first_noise, second_noise", "generator_learned"),
            discriminatorLines("torch.detach(fake)"),
            generatorLines(),
            "d = torch.unbind(metrics)",
            result()));
  }

  /** The generator's weights are constants of this update's gradient. */
  private String discriminatorLines(String fake) {
    return lines(
        "real = torch.reshape(torch.slice(batch[0], 0, 0, first_noise), [n, %s])"
            .formatted(shape(architecture.shape())),
        leaves(DISCRIMINATOR, discriminatorWeights),
        "fake_logits = " + logits(augmented(fake, 1), "discriminator_learned"),
        "real_logits = " + logits(augmented("real", 0), "discriminator_learned"),
        "discriminator_loss = (self).discriminator_loss(real_logits, fake_logits)",
        update(DISCRIMINATOR, discriminatorWeights),
        "metrics = torch.stack([torch.detach(discriminator_loss), (self).score(real_logits),"
            + " (self).score(fake_logits), discriminator_norm])");
  }

  /** The discriminator's weights are constants of this update's gradient. */
  private String generatorLines() {
    return lines(
        "logits = " + logits(augmented("fake", 2), "discriminator_weights"),
        "generator_loss = (self).generator_loss(logits)",
        update(GENERATOR, generatorWeights),
        averaging
            ? """
            _0 = (self).average(average_weights, generator_weights, generator_step[0])
            _1 = (self).average(average_statistics, generator_statistics, generator_step[0])"""
            : "");
  }

  private static String result() {
    return "return torch.stack([d[0], torch.detach(generator_loss), d[1], d[2], d[3], generator_norm])";
  }

  /** The offsets of a batch's parts, and with classes the labels. */
  private String parts() {
    int firstNoise = architecture.shape().values();
    int secondNoise = firstNoise + architecture.latentSize();
    int third = secondNoise + architecture.latentSize();
    int numbers = augmentations.isEmpty() ? 0 : DiffAugment.USES * DiffAugment.VALUES;
    int labels = third + numbers;
    boolean conditional = architecture.classes() > 0;
    return lines(
        "n = torch.floordiv(torch.numel(batch[0]), %d)".formatted(labels + (conditional ? 1 : 0)),
        offset("first_noise", firstNoise),
        offset("second_noise", secondNoise),
        offset("third", third),
        conditional
            ? lines(
                offset("labels", labels),
                "label = torch.to(torch.slice(batch[0], 0, labels), %d)".formatted(INT64))
            : "");
  }

  private static String offset(String name, int valuesBefore) {
    return "%s = torch.mul(n, %d)".formatted(name, valuesBefore);
  }

  /** The images of the latents between two offsets. */
  private String fakes(String offsets, String weights) {
    return lines(
        "z = torch.reshape(torch.slice(batch[0], 0, %s), [n, %d, 1, 1])"
            .formatted(offsets, architecture.latentSize()),
        architecture.classes() == 0
            ? ""
            : "z = (self).%s(z, label, %s)".formatted(Generator.WITH_CLASS, weights),
        "fake = (self).generator(z, %s, generator_statistics, generator_constants)"
            .formatted(weights));
  }

  /** An expression of the images, augmented with the numbers of one use. */
  private String augmented(String images, int use) {
    if (augmentations.isEmpty()) {
      return images;
    }
    String offset = "torch.add(third, torch.mul(n, %d))";
    return "(self).augment(%s, torch.slice(batch[0], 0, %s, %s))"
        .formatted(
            images,
            offset.formatted(use * DiffAugment.VALUES),
            offset.formatted((use + 1) * DiffAugment.VALUES));
  }

  private String logits(String images, String weights) {
    return "(self).discriminator(%s, %s%s, discriminator_statistics, discriminator_constants)"
        .formatted(images, architecture.classes() == 0 ? "" : "label, ", weights);
  }

  private static String shape(ImageShape shape) {
    return "%d, %d, %d".formatted(shape.channels(), shape.height(), shape.width());
  }

  /** The weights, sharing their memory, as leaves of a new autograd graph. */
  private static String leaves(String network, int weights) {
    return "%s_learned = [%s]"
        .formatted(
            network,
            each(weights, "torch.requires_grad_(torch.detach(" + network + "_weights[%d]))"));
  }

  /** Changes a network's weights by the gradient of its loss. */
  private static String update(String network, int weights) {
    return """
        %1$s_found = torch.grad([%1$s_loss], %1$s_learned)
        %1$s_gradients = [%2$s]
        %1$s_norm = (self).%3$s(%1$s_weights, %1$s_gradients, %4$s[0])"""
        .formatted(
            network,
            // Some algorithms return gradients in permuted memory.
            each(weights, "torch.contiguous(unchecked_cast(Tensor, " + network + "_found[%d]))"),
            adam(network),
            String.join(", ", optimizer(network)));
  }

  private static String adam(String network) {
    return network + "_adam";
  }

  private static List<String> optimizer(String network) {
    return List.of(network + "_means", network + "_variances", network + "_step");
  }

  private static String each(int n, String format) {
    return IntStream.range(0, n).mapToObj(format::formatted).collect(Collectors.joining(", "));
  }

  /** The parts that are not empty, each on lines of its own. */
  private static String lines(String... parts) {
    return Stream.of(parts).filter(part -> !part.isEmpty()).collect(Collectors.joining("\n"));
  }

  /**
   * Updates the discriminator.
   *
   * @return (4): the loss, D(x), D(G(z)), the gradient norm; in the batch's manager
   */
  NDArray updateDiscriminator(NDArray batch) {
    return run(discriminatorUpdate, List.of(new NDList(batch)), discriminatorArguments);
  }

  /**
   * Updates the generator and its EMA.
   *
   * @param metrics the discriminator's metrics
   * @return (6): the losses of D and G, D(x), D(G(z)), the gradient norms of D and G; in the
   *     batch's manager
   */
  NDArray updateGenerator(NDArray batch, NDArray metrics) {
    return run(
        generatorUpdate, List.of(new NDList(batch), new NDList(metrics)), generatorArguments);
  }

  /**
   * Updates the discriminator, then with the same fakes the generator and its EMA; only with shared
   * fakes.
   *
   * @return as of {@link #updateGenerator}
   */
  NDArray updateBoth(NDArray batch) {
    return run(generatorUpdate, List.of(new NDList(batch)), generatorArguments);
  }

  private static NDArray run(PtSymbolBlock script, List<NDList> first, List<NDList> rest) {
    return TorchScript.run(script, concat(first, rest).toArray(NDList[]::new));
  }
}
