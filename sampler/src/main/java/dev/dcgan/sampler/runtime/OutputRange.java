package dev.dcgan.sampler.runtime;

import java.nio.FloatBuffer;
import java.util.Optional;

/** The range of the images that a model outputs; the sampler maps it to [-1, 1]. */
enum OutputRange {
  SIGNED("[-1, 1]", 2),
  UNIT("[0, 1]", 1),
  BYTE("[0, 255]", 255);

  // Linear outputs exceed their range a little and are clipped; more is another normalization.
  private static final float SLACK = 0.5f;

  private final String text;
  private final float width;

  OutputRange(String text, float width) {
    this.text = text;
    this.width = width;
  }

  /** Returns the range that values between two extremes are in; empty: none of these. */
  static Optional<OutputRange> of(float min, float max) {
    if (min >= 0 && min < max) {
      // An image in [-1, 1] has dark pixels, so none of many would be all positive.
      if (max <= 1 + SLACK) {
        return Optional.of(UNIT);
      }
      if (max > 2 && max <= 255.5f) {
        return Optional.of(BYTE);
      }
    }
    return min >= -1 - SLACK && max <= 1 + SLACK ? Optional.of(SIGNED) : Optional.empty();
  }

  /** The range of this text form; empty: {@link #SIGNED}. */
  static OutputRange parse(String text) {
    for (OutputRange range : values()) {
      if (range.text.equals(text)) {
        return range;
      }
    }
    return SIGNED;
  }

  /** The size of one grey level. */
  float greyLevel() {
    return width / 255;
  }

  /** Maps all values to [-1, 1] in place, and clips those outside. */
  void map(FloatBuffer values) {
    for (int i = values.position(); i < values.limit(); i++) {
      float x = values.get(i);
      float mapped = this == SIGNED ? x : 2 * (x / width) - 1;
      values.put(i, Math.max(-1, Math.min(1, mapped)));
    }
  }

  @Override
  public String toString() {
    return text;
  }
}
