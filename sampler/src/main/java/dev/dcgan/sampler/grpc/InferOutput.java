package dev.dcgan.sampler.grpc;

import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.core.RequestException;
import java.util.List;
import java.util.Locale;

/** An output of a model in the Open Inference Protocol. */
enum InferOutput {
  /** In [-1, 1]. */
  IMAGE("FP32", Float.BYTES),
  PIXELS("UINT8", 1);

  private final String datatype;
  private final int valueBytes;

  InferOutput(String datatype, int valueBytes) {
    this.datatype = datatype;
    this.valueBytes = valueBytes;
  }

  static InferOutput of(String field, String name) {
    for (InferOutput output : values()) {
      if (output.label().equals(name)) {
        return output;
      }
    }
    throw RequestException.invalid(
        field, "output '%s': expected 'image' or 'pixels'".formatted(name));
  }

  /** Its name on the wire. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  String datatype() {
    return datatype;
  }

  /** Of n images; -1: any number. */
  List<Long> shape(long n, ImageShape image) {
    long height = image.height();
    long width = image.width();
    long channels = image.channels();
    return this == IMAGE
        ? List.of(n, channels, height, width)
        : List.of(n, height, width, channels);
  }

  long imageBytes(ImageShape image) {
    return (long) image.values() * valueBytes;
  }
}
