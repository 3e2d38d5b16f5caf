package dev.dcgan.trainer.torch;

import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The precision of float32 matrix products and convolutions on CUDA; the CPU always uses FP32. */
public enum Precision {
  /** Full float32. */
  FP32("fp32"),
  /** Tensor cores with inputs rounded to a 10-bit mantissa; sums are float32. */
  TF32("tf32");

  private final String label;

  Precision(String label) {
    this.label = label;
  }

  /** The name in options and manifests. */
  public String label() {
    return label;
  }

  /** The precision with the given label. */
  public static Optional<Precision> named(String label) {
    return Stream.of(values()).filter(precision -> precision.label.equals(label)).findFirst();
  }

  /** For messages: {@code fp32 or tf32}. */
  public static String labels() {
    return Stream.of(values()).map(Precision::label).collect(Collectors.joining(" or "));
  }
}
