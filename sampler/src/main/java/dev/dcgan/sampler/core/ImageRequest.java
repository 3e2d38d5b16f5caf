package dev.dcgan.sampler.core;

import dev.dcgan.latent.Latents;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.Priority;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;

/**
 * A valid request for images, in any protocol.
 *
 * @param first the index of the first image
 * @param count 1 to 2^32 - 1
 * @param columns of a contact sheet, 1 to 65536
 */
public record ImageRequest(
    LatentSource source,
    long first,
    long count,
    ImageFormat format,
    int columns,
    Priority priority) {

  private static final float MAX_TEMPERATURE = 2;
  // More are a mistake: no contact sheet of so many images fits into a response.
  private static final int MAX_COLUMNS = 1 << 16;

  public ImageRequest {
    if (count == 0) {
      throw RequestException.invalid("count", "count 0: expected 1 or more");
    }
    // A negative long is 2^63 or more.
    if (first < 0 || first - 1 > Long.MAX_VALUE - count) {
      throw RequestException.invalid(
          "first_index",
          "first_index %s and count %d: expected a sum of at most 2^63"
              .formatted(Long.toUnsignedString(first), count));
    }
    if (columns < 1 || columns > MAX_COLUMNS) {
      throw RequestException.invalid(
          "columns",
          "columns %s: expected 0 to %d".formatted(Integer.toUnsignedString(columns), MAX_COLUMNS));
    }
  }

  public static ImageRequest of(GenerateRequest request) {
    return new ImageRequest(
        LatentSource.ofSeed(
            request.getSeed(), temperature(request.hasTemperature(), request.getTemperature())),
        request.getFirstIndex(),
        Integer.toUnsignedLong(request.getCount()),
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  /** A request for latents alone: the format has no meaning. */
  public static ImageRequest of(GetLatentsRequest request) {
    return new ImageRequest(
        LatentSource.ofSeed(
            request.getSeed(), temperature(request.hasTemperature(), request.getTemperature())),
        request.getFirstIndex(),
        Integer.toUnsignedLong(request.getCount()),
        ImageFormat.IMAGE_FORMAT_RAW,
        1,
        Priority.NORMAL);
  }

  public static ImageRequest of(DecodeRequest request, ServedVersion model) {
    float[] latents = new float[request.getLatentsCount()];
    for (int i = 0; i < latents.length; i++) {
      latents[i] = request.getLatents(i);
    }
    return new ImageRequest(
        LatentSource.of(requireLatents("latents", latents, model)),
        0,
        latents.length / model.latentSize(),
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  public static ImageRequest of(InterpolateRequest request, ServedVersion model) {
    long count = Integer.toUnsignedLong(request.getCount());
    if (count < 2) {
      throw RequestException.invalid(
          "count", "count %d: expected 2 or more, both ends included".formatted(count));
    }
    int size = model.latentSize();
    return new ImageRequest(
        LatentSource.arc(point(request.getFrom(), size), point(request.getTo(), size), count),
        0,
        count,
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), (int) Math.min(count, MAX_COLUMNS)),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  /**
   * Requires that floats are whole latents, and finite.
   *
   * @param field the field of the request, for the error
   * @return the same latents
   */
  public static float[] requireLatents(String field, float[] latents, ServedVersion model) {
    int size = model.latentSize();
    if (latents.length == 0 || latents.length % size != 0) {
      throw RequestException.invalid(
          field,
          "%d floats: expected (n, %d), latents of %s".formatted(latents.length, size, model));
    }
    for (int i = 0; i < latents.length; i++) {
      if (!Float.isFinite(latents[i])) {
        throw RequestException.invalid(
            field, "value %d is %s: expected a finite number".formatted(i, latents[i]));
      }
    }
    return latents;
  }

  /** What the network must give. */
  public Output output() {
    return format == ImageFormat.IMAGE_FORMAT_FLOAT ? Output.FLOATS : Output.PIXELS;
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

  private static int columns(int columns, int defaultColumns) {
    return columns == 0 ? defaultColumns : columns;
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
