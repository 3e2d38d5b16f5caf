package dev.dcgan.trainer.checkpoint;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The state of a run at the end of a step: everything that resuming from there needs.
 *
 * <p>The tensors hold no values of their own. Those of a training run are valid until its next
 * step, those of a file as long as the file exists.
 *
 * @param architecture of the networks
 * @param hyperparameters of the run
 * @param dataset that it is trained on
 * @param epoch epochs completed
 * @param step steps completed, over all epochs
 * @param tensors both networks' parameters, Adam's moments and the generator's averaged weights if
 *     there are any, by name
 * @param quality the generator's quality metrics, by name; empty if it was not evaluated at this
 *     step
 */
public record Checkpoint(
    Architecture architecture,
    Hyperparameters hyperparameters,
    Dataset dataset,
    int epoch,
    long step,
    Map<String, Tensor> tensors,
    Map<String, Double> quality) {

  public Checkpoint {
    tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    quality = Collections.unmodifiableMap(new LinkedHashMap<>(quality));
  }

  /** A checkpoint whose generator was not evaluated. */
  public Checkpoint(
      Architecture architecture,
      Hyperparameters hyperparameters,
      Dataset dataset,
      int epoch,
      long step,
      Map<String, Tensor> tensors) {
    this(architecture, hyperparameters, dataset, epoch, step, tensors, Map.of());
  }

  /** The same checkpoint with the quality metrics of its generator. */
  public Checkpoint withQuality(Map<String, Double> measured) {
    return new Checkpoint(architecture, hyperparameters, dataset, epoch, step, tensors, measured);
  }

  /**
   * The images that a run is trained on.
   *
   * @param sha256 over the decoded images, in order
   * @param classes of a conditional model; null if the run is not conditional
   */
  public record Dataset(String name, String sha256, int images, @Nullable ImageClasses classes) {

    /** The images of a run that is not conditional. */
    public Dataset(String name, String sha256, int images) {
      this(name, sha256, images, null);
    }

    @Override
    public String toString() {
      return "%d images of %s (SHA-256 %s)".formatted(images, name, sha256);
    }
  }
}
