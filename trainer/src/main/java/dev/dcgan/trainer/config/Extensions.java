package dev.dcgan.trainer.config;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * What a recipe has beyond that of Radford et al. 2015.
 *
 * @param mirror whether each training image is mirrored left to right with probability 1/2
 * @param augmentations of what the discriminator sees
 * @param sharedFakes whether one batch of fakes serves both updates, which saves a forward pass of
 *     the generator; otherwise the generator's update has latents of its own
 * @param learningRateDecay the fraction of all steps, at the end of training, in which both
 *     learning rates fall linearly to 0; 0 to 1
 */
public record Extensions(
    boolean mirror, Set<Augmentation> augmentations, boolean sharedFakes, float learningRateDecay) {

  /** The paper's recipe. */
  public static final Extensions NONE = new Extensions(false, Set.of(), false, 0);

  public Extensions {
    // In a fixed order, because checkpoints of the same run have the same bytes.
    EnumSet<Augmentation> sorted = EnumSet.noneOf(Augmentation.class);
    sorted.addAll(augmentations);
    augmentations = Collections.unmodifiableSet(sorted);
    if (!(learningRateDecay >= 0 && learningRateDecay <= 1)) {
      throw new IllegalArgumentException(
          "learning rate decay %s: expected 0 to 1".formatted(learningRateDecay));
    }
  }

  /** For messages: {@code images mirrored at random, DiffAugment (color, cutout)}. */
  @Override
  public String toString() {
    List<String> parts = new ArrayList<>();
    if (mirror) {
      parts.add("images mirrored at random");
    }
    if (!augmentations.isEmpty()) {
      List<String> names = augmentations.stream().map(Augmentation::label).toList();
      parts.add("DiffAugment (" + String.join(", ", names) + ")");
    }
    if (sharedFakes) {
      parts.add("one batch of fakes for both updates");
    }
    if (learningRateDecay > 0) {
      parts.add("learning rates fall in the last %s of the steps".formatted(learningRateDecay));
    }
    return parts.isEmpty() ? "none" : String.join(", ", parts);
  }
}
