package dev.dcgan.sampler.core;

import dev.dcgan.latent.Latents;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Priority;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;

/**
 * Which images a caller wants, and how: checked.
 *
 * @param first index of the first one
 * @param count 1 to 2^32 - 1
 * @param columns of a sheet, 1 or more
 */
public record ImageRequest(
    LatentSource source,
    long first,
    long count,
    ImageFormat format,
    int columns,
    Priority priority) {

  private static final float MAX_TEMPERATURE = 2;
  // Wider ones are a mistake; no sheet of so many images fits into an answer anyway.
  private static final int MOST_COLUMNS = 1 << 16;

  public ImageRequest {
    if (count == 0) {
      throw RequestException.invalid("count", "count 0: ask for 1 image or more");
    }
    // A negative long is 2^63 or more.
    if (first < 0 || first - 1 > Long.MAX_VALUE - count) {
      throw RequestException.invalid(
          "first_index",
          "first_index %s and count %d: their sum must not pass 2^63"
              .formatted(Long.toUnsignedString(first), count));
    }
    if (columns < 1 || columns > MOST_COLUMNS) {
      throw RequestException.invalid(
          "columns",
          "columns %s: expected 0 to %d"
              .formatted(Integer.toUnsignedString(columns), MOST_COLUMNS));
    }
  }

  public static ImageRequest of(GenerateRequest asked) {
    return new ImageRequest(
        LatentSource.ofSeed(
            asked.getSeed(), temperature(asked.hasTemperature(), asked.getTemperature())),
        asked.getFirstIndex(),
        Integer.toUnsignedLong(asked.getCount()),
        format(asked.getFormat(), asked.getFormatValue()),
        columns(asked.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        priority(asked.getPriority(), asked.getPriorityValue()));
  }

  /** Only the latents are of interest. */
  public static ImageRequest of(GetLatentsRequest asked) {
    return new ImageRequest(
        LatentSource.ofSeed(
            asked.getSeed(), temperature(asked.hasTemperature(), asked.getTemperature())),
        asked.getFirstIndex(),
        Integer.toUnsignedLong(asked.getCount()),
        ImageFormat.IMAGE_FORMAT_RAW,
        1,
        Priority.NORMAL);
  }

  public static ImageRequest of(DecodeRequest asked, ServedVersion model) {
    float[] latents = new float[asked.getLatentsCount()];
    for (int i = 0; i < latents.length; i++) {
      latents[i] = asked.getLatents(i);
    }
    return new ImageRequest(
        LatentSource.of(requireLatents("latents", latents, model)),
        0,
        latents.length / model.latentSize(),
        format(asked.getFormat(), asked.getFormatValue()),
        columns(asked.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        priority(asked.getPriority(), asked.getPriorityValue()));
  }

  public static ImageRequest of(InterpolateRequest asked, ServedVersion model) {
    long count = Integer.toUnsignedLong(asked.getCount());
    if (count < 2) {
      throw RequestException.invalid(
          "count", "count %d: expected 2 or more, both ends included".formatted(count));
    }
    int size = model.latentSize();
    return new ImageRequest(
        LatentSource.arc(point(asked.getFrom(), size), point(asked.getTo(), size), count),
        0,
        count,
        format(asked.getFormat(), asked.getFormatValue()),
        columns(asked.getColumns(), (int) Math.min(count, MOST_COLUMNS)),
        priority(asked.getPriority(), asked.getPriorityValue()));
  }

  /**
   * The same latents, where they are whole ones and finite.
   *
   * @param field of the request, to be named where they are not
   */
  public static float[] requireLatents(String field, float[] latents, ServedVersion model) {
    int size = model.latentSize();
    if (latents.length == 0 || latents.length % size != 0) {
      throw RequestException.invalid(
          field,
          "%d floats: expected (n, %d), whole latents of %s"
              .formatted(latents.length, size, model));
    }
    for (int i = 0; i < latents.length; i++) {
      if (!Float.isFinite(latents[i])) {
        throw RequestException.invalid(
            field, "value %d is %s: expected finite ones".formatted(i, latents[i]));
      }
    }
    return latents;
  }

  private static float[] point(ImagePoint point, int size) {
    return Latents.of(point.getSeed(), point.getIndex(), size);
  }

  private static float temperature(boolean given, float temperature) {
    if (given && !(temperature > 0 && temperature <= MAX_TEMPERATURE)) {
      throw RequestException.invalid(
          "temperature", "temperature %s: expected above 0, at most 2".formatted(temperature));
    }
    return given ? temperature : 1;
  }

  private static ImageFormat format(ImageFormat format, int value) {
    return switch (format) {
      case UNRECOGNIZED ->
          throw RequestException.invalid(
              "format",
              "format %d: expected PNG (1), RAW (2), FLOAT (3) or SHEET (4)".formatted(value));
      case IMAGE_FORMAT_UNSPECIFIED -> ImageFormat.IMAGE_FORMAT_PNG;
      default -> format;
    };
  }

  private static int columns(int asked, int otherwise) {
    return asked == 0 ? otherwise : asked;
  }

  private static Priority priority(dev.dcgan.v1.Priority priority, int value) {
    return switch (priority) {
      case PRIORITY_LOW -> Priority.LOW;
      case PRIORITY_HIGH -> Priority.HIGH;
      case PRIORITY_UNSPECIFIED, PRIORITY_NORMAL -> Priority.NORMAL;
      case UNRECOGNIZED ->
          throw RequestException.invalid(
              "priority", "priority %d: expected LOW (1), NORMAL (2) or HIGH (3)".formatted(value));
    };
  }
}
