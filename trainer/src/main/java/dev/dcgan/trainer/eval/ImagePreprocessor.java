package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Converts images to the input of a feature model: its size, channels and value range. */
final class ImagePreprocessor {

  // Mean and standard deviation of ImageNet's channels in [0, 1], as torchvision's models expect.
  private static final float[] IMAGENET_MEAN = {0.485f, 0.456f, 0.406f};
  private static final float[] IMAGENET_STD = {0.229f, 0.224f, 0.225f};

  /** A value range that models expect: x in [0, 255] becomes x * scale + offset. */
  enum Range {
    SIGNED("signed", "[-1,1]", 1 / 127.5f, -1),
    UNIT("unit", "[0,1]", 1 / 255f, 0),
    BYTE("byte", "[0,255]", 1, 0),
    /** [0, 1], normalized by ImageNet's mean and standard deviation of each channel. */
    IMAGENET("imagenet", "imagenet", 0, 0);

    private final String option;
    private final String label;
    private final float scale;
    private final float offset;

    Range(String option, String label, float scale, float offset) {
      this.option = option;
      this.label = label;
      this.scale = scale;
      this.offset = offset;
    }

    /** The range's name in a model's metadata, {@code [-1,1]}. */
    String label() {
      return label;
    }

    /** The range of that name, in an option or in a model's metadata. */
    static Optional<Range> named(String name) {
      return Stream.of(values())
          .filter(range -> range.option.equals(name) || range.label.equals(name.replace(" ", "")))
          .findFirst();
    }

    /** The names of all ranges, for messages. */
    static String labels() {
      return Stream.of(values()).map(Range::label).collect(Collectors.joining(", "));
    }

    /** Scales the values of a channel in place. */
    private void scale(float[] values, int from, int to, int channel, int channels) {
      float factor = scale;
      float shift = offset;
      if (this == IMAGENET) {
        float mean = channels == 3 ? IMAGENET_MEAN[channel] : mean(IMAGENET_MEAN);
        float std = channels == 3 ? IMAGENET_STD[channel] : mean(IMAGENET_STD);
        factor = 1 / (255 * std);
        shift = -mean / std;
      }
      for (int i = from; i < to; i++) {
        values[i] = values[i] * factor + shift;
      }
    }

    private static float mean(float[] values) {
      return (values[0] + values[1] + values[2]) / 3;
    }
  }

  private ImagePreprocessor() {}

  /**
   * Resizes bilinearly (half-pixel centers, no antialiasing), converts the channels and scales.
   *
   * @param pixels uint8 (n, height, width, channels) of shape {@code shape}
   * @return float32 (n, channels, height, width) of shape {@code target}, in the range
   */
  static float[] convert(byte[] pixels, int n, ImageShape shape, ImageShape target, Range range) {
    float[] planes = resize(ImageBatches.planes(pixels, n, shape), shape, target);
    int area = target.height() * target.width();
    float[] images = convertChannels(planes, n, shape.channels(), target.channels(), area);
    for (int plane = 0; plane < n * target.channels(); plane++) {
      int channel = plane % target.channels();
      range.scale(images, plane * area, (plane + 1) * area, channel, target.channels());
    }
    return images;
  }

  /**
   * Changes float32 (n, channels, height, width) to (n, height, width, channels).
   *
   * @param shape of each image
   */
  static float[] channelsLast(float[] images, int n, ImageShape shape) {
    int channels = shape.channels();
    int area = shape.height() * shape.width();
    float[] last = new float[images.length];
    for (int plane = 0; plane < n * channels; plane++) {
      int start = plane / channels * channels * area + plane % channels;
      for (int i = 0; i < area; i++) {
        last[start + i * channels] = images[plane * area + i];
      }
    }
    return last;
  }

  /** Resizes each plane (height, width). */
  private static float[] resize(float[] planes, ImageShape shape, ImageShape target) {
    int h = shape.height();
    int w = shape.width();
    int height = target.height();
    int width = target.width();
    if (h == height && w == width) {
      return planes;
    }
    int count = planes.length / (h * w);
    float[] resized = new float[count * height * width];
    for (int y = 0; y < height; y++) {
      float atY = sourcePosition(y, height, h);
      int top = (int) atY;
      int bottom = Math.min(top + 1, h - 1);
      for (int x = 0; x < width; x++) {
        float atX = sourcePosition(x, width, w);
        int left = (int) atX;
        int right = Math.min(left + 1, w - 1);
        for (int plane = 0; plane < count; plane++) {
          int from = plane * h * w;
          float upper =
              lerp(planes[from + top * w + left], planes[from + top * w + right], atX - left);
          float lower =
              lerp(planes[from + bottom * w + left], planes[from + bottom * w + right], atX - left);
          resized[(plane * height + y) * width + x] = lerp(upper, lower, atY - top);
        }
      }
    }
    return resized;
  }

  /** The position of the center of pixel {@code i} of {@code size} among {@code from} pixels. */
  private static float sourcePosition(int i, int size, int from) {
    return Math.max(0, Math.min(from - 1, (i + 0.5f) * from / size - 0.5f));
  }

  private static float lerp(float a, float b, float weight) {
    return a + (b - a) * weight;
  }

  /** Repeats a grey plane, or converts RGB to luma (Rec. 601) in every channel. */
  private static float[] convertChannels(float[] planes, int n, int from, int to, int area) {
    if (from == to) {
      return planes;
    }
    float[] converted = new float[n * to * area];
    for (int image = 0; image < n; image++) {
      for (int i = 0; i < area; i++) {
        int at = image * from * area + i;
        float grey =
            from == 1
                ? planes[at]
                : 0.299f * planes[at] + 0.587f * planes[at + area] + 0.114f * planes[at + 2 * area];
        for (int c = 0; c < to; c++) {
          converted[(image * to + c) * area + i] = grey;
        }
      }
    }
    return converted;
  }
}
