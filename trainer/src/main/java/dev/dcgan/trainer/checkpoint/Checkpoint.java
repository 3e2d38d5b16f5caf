package dev.dcgan.trainer.checkpoint;

import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A run at the end of a step: everything that carries on from there needs.
 *
 * <p>The tensors hold no values of their own. Those of a run that trains are valid until its next
 * step; those of a file, as long as the file is there.
 *
 * @param architecture of the networks
 * @param hyperparameters of the run
 * @param dataset that it learns from
 * @param epoch epochs completed
 * @param step steps completed, over all epochs
 * @param tensors both networks' parameters, Adam's moments and the generator's averaged weights
 *     where there are any, by name
 */
public record Checkpoint(
    Architecture architecture,
    Hyperparameters hyperparameters,
    Dataset dataset,
    int epoch,
    long step,
    Map<String, Tensor> tensors) {

  public Checkpoint {
    tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
  }

  /**
   * Which pictures a run learns from.
   *
   * @param sha256 over the decoded images, in order
   */
  public record Dataset(String name, String sha256, int images) {

    @Override
    public String toString() {
      return "%d pictures of %s (SHA-256 %s)".formatted(images, name, sha256);
    }
  }
}
