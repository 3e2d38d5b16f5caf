package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The updates of the discriminator and the generator, one TorchScript call each: forward pass,
 * loss, backward pass, Adam and EMA. Neither synchronizes with the device.
 *
 * <p>Both take a batch as one flat array: n images, n latents for the discriminator's update, n
 * latents for the generator's, and with classes n labels. The fakes of both updates have the labels
 * of the batch's images.
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
  private static final List<String> OPTIMIZER = List.of("means", "variances", "step");
  private static final List<String> EMA = List.of("average_weights", "average_statistics");

  private final List<NDList> discriminatorArguments;
  private final List<NDList> generatorArguments;
  private final PtSymbolBlock discriminatorUpdate;
  private final PtSymbolBlock generatorUpdate;

  /**
   * Compiles both scripts.
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
      float labelSmoothing) {
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
    generatorArguments.addAll(state(generatorAdam));
    if (ema != null) {
      generatorArguments.add(ema.generator().trainable());
      generatorArguments.add(ema.generator().statistics());
    }
    List<Function> functions = new ArrayList<>(generator.functions("generator", true));
    functions.addAll(discriminator.functions("discriminator", true));
    functions.addAll(generator.embeddingFunction());
    discriminatorUpdate =
        TorchScript.load(
            manager,
            concat(
                functions,
                GanLoss.discriminator(labelSmoothing),
                GanLoss.score(),
                discriminatorAdam.function(),
                discriminatorUpdate(architecture, discriminator.trainable().size())));
    List<Function> generatorFunctions =
        concat(
            functions,
            GanLoss.generator(),
            generatorAdam.function(),
            generatorUpdate(architecture, generator.trainable().size(), ema != null));
    if (ema != null) {
      generatorFunctions.add(ema.function());
    }
    generatorUpdate = TorchScript.load(manager, generatorFunctions);
  }

  private static List<NDList> state(Adam adam) {
    return List.of(adam.means(), adam.variances(), new NDList(adam.step()));
  }

  private static List<Function> concat(List<Function> functions, Function... more) {
    List<Function> all = new ArrayList<>(functions);
    all.addAll(List.of(more));
    return all;
  }

  /** The generator's weights are constants of this update's gradient. */
  private static Function discriminatorUpdate(Architecture architecture, int weights) {
    return forward(
        List.of("batch"),
        List.of(),
        """
        %1$s
        real = torch.reshape(torch.slice(batch[0], 0, 0, first_noise), [n, %2$s])
        z = torch.reshape(torch.slice(batch[0], 0, first_noise, second_noise), [n, %3$d, 1, 1])
        %4$sfake = (self).generator(z, generator_weights, generator_statistics, generator_constants)
        learned = [%5$s]
        fake_logits = (self).discriminator(fake, %6$slearned, discriminator_statistics, discriminator_constants)
        real_logits = (self).discriminator(real, %6$slearned, discriminator_statistics, discriminator_constants)
        loss = (self).discriminator_loss(real_logits, fake_logits)
        %7$s
        norm = (self).adam(discriminator_weights, gradients, means, variances, step[0])
        return torch.stack([torch.detach(loss), (self).score(real_logits), (self).score(fake_logits), norm])"""
            .formatted(
                positions(architecture),
                shape(architecture.shape()),
                architecture.latentSize(),
                withClass(architecture, "generator_weights"),
                leaves("discriminator_weights", weights),
                label(architecture),
                gradients(weights)));
  }

  /** The discriminator's weights are constants of this update's gradient. */
  private static Function generatorUpdate(
      Architecture architecture, int weights, boolean averaging) {
    return forward(
        List.of("batch", "metrics"),
        averaging ? EMA : List.of(),
        """
        %s
        z = torch.reshape(torch.slice(batch[0], 0, second_noise%s), [n, %d, 1, 1])
        learned = [%s]
        %sfake = (self).generator(z, learned, generator_statistics, generator_constants)
        logits = (self).discriminator(fake, %sdiscriminator_weights, discriminator_statistics, discriminator_constants)
        loss = (self).generator_loss(logits)
        %s
        norm = (self).adam(generator_weights, gradients, means, variances, step[0])
        %s
        d = torch.unbind(metrics[0])
        return torch.stack([d[0], torch.detach(loss), d[1], d[2], d[3], norm])"""
            .formatted(
                positions(architecture),
                architecture.classes() == 0 ? "" : ", labels",
                architecture.latentSize(),
                leaves("generator_weights", weights),
                withClass(architecture, "learned"),
                label(architecture),
                gradients(weights),
                averaging
                    ? """
                    _0 = (self).average(average_weights, generator_weights, step[0])
                    _1 = (self).average(average_statistics, generator_statistics, step[0])"""
                    : ""));
  }

  private static Function forward(List<String> first, List<String> last, String body) {
    List<String> lists = new ArrayList<>(first);
    lists.addAll(NETWORKS);
    lists.addAll(OPTIMIZER);
    lists.addAll(last);
    return Function.forward(lists, body);
  }

  /** The offsets of a batch's parts, and with classes the labels. */
  private static String positions(Architecture architecture) {
    int image = architecture.shape().values();
    int latent = architecture.latentSize();
    int all = image + 2 * latent;
    return """
        n = torch.floordiv(torch.numel(batch[0]), %d)
        first_noise = torch.mul(n, %d)
        second_noise = torch.mul(n, %d)"""
            .formatted(architecture.classes() == 0 ? all : all + 1, image, image + latent)
        + (architecture.classes() == 0
            ? ""
            : """

            labels = torch.mul(n, %d)
            label = torch.to(torch.slice(batch[0], 0, labels), %d)"""
                .formatted(all, INT64));
  }

  /** Appends the embeddings of the classes to z. */
  private static String withClass(Architecture architecture, String weights) {
    return architecture.classes() == 0
        ? ""
        : "z = (self).%s(z, label, %s)\n".formatted(Generator.WITH_CLASS, weights);
  }

  /** The discriminator's further argument. */
  private static String label(Architecture architecture) {
    return architecture.classes() == 0 ? "" : "label, ";
  }

  private static String shape(ImageShape shape) {
    return "%d, %d, %d".formatted(shape.channels(), shape.height(), shape.width());
  }

  /** The weights, sharing their memory, as leaves of a new autograd graph. */
  private static String leaves(String list, int n) {
    return each(n, "torch.requires_grad_(torch.detach(" + list + "[%d]))");
  }

  /** Some algorithms return gradients in permuted memory. */
  private static String gradients(int n) {
    return "found = torch.grad([loss], learned)\ngradients = [%s]"
        .formatted(each(n, "torch.contiguous(unchecked_cast(Tensor, found[%d]))"));
  }

  private static String each(int n, String format) {
    return IntStream.range(0, n).mapToObj(format::formatted).collect(Collectors.joining(", "));
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

  private static NDArray run(PtSymbolBlock script, List<NDList> first, List<NDList> rest) {
    List<NDList> lists = new ArrayList<>(first);
    lists.addAll(rest);
    return TorchScript.run(script, lists.toArray(NDList[]::new));
  }
}
