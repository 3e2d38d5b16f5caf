package dev.dcgan.trainer.torch;

import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** How a CUDA device multiplies float32 values; the CPU always does so in float32. */
public enum Precision {
  /** In float32 throughout. */
  FP32("fp32"),
  /** On tensor cores, with factors rounded to a mantissa of 10 bits; sums are float32. */
  TF32("tf32");

  private final String label;

  Precision(String label) {
    this.label = label;
  }

  /** As options and manifests name it. */
  public String label() {
    return label;
  }

  /** The precision of that label. */
  public static Optional<Precision> named(String label) {
    return Stream.of(values()).filter(precision -> precision.label.equals(label)).findFirst();
  }

  /** For messages: {@code fp32 or tf32}. */
  public static String labels() {
    return Stream.of(values()).map(Precision::label).collect(Collectors.joining(" or "));
  }
}
