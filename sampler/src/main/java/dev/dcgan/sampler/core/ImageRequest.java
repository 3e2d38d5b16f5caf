package dev.dcgan.sampler.core;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.Priority;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import java.util.List;
import java.util.Optional;

/**
 * A valid request for images, in any protocol.
 *
 * @param source the latents of the images [0, {@code count})
 * @param labels their labels; {@link LabelSource#NONE} if the model has no classes
 * @param first the index of the first image of each seed; 0 if the images have no seed
 * @param countPerSeed images of each seed, 1 to 2^32 - 1; {@code count} if the images have no seed
 * @param count images of all seeds, a multiple of {@code countPerSeed}
 * @param columns of a contact sheet, 1 to 65536
 * @param scale the side of the square that a pixel becomes, 1 to 16; 1 for RAW and FLOAT
 */
public record ImageRequest(
    LatentSource source,
    LabelSource labels,
    long first,
    long countPerSeed,
    long count,
    ImageFormat format,
    int columns,
    int scale,
    Priority priority) {

  private static final float MAX_TEMPERATURE = 2;
  // Enough for any contact sheet. Each seed takes memory as long as its request lasts.
  private static final int MAX_SEEDS = 1 << 16;
  private static final int MAX_SCALE = 16;
  // More are a mistake: no contact sheet of so many images fits into a response.
  private static final int MAX_COLUMNS = 1 << 16;

  public ImageRequest {
    if (countPerSeed == 0) {
      throw RequestException.invalid("count", "count 0: expected 1 or more");
    }
    // A negative long is 2^63 or more.
    if (first < 0 || first - 1 > Long.MAX_VALUE - countPerSeed) {
      throw RequestException.invalid(
          "first_index",
          "first_index %s and count %d: expected a sum of at most 2^63"
              .formatted(Long.toUnsignedString(first), countPerSeed));
    }
    if (columns < 1 || columns > MAX_COLUMNS) {
      throw RequestException.invalid(
          "columns",
          "columns %s: expected 0 to %d".formatted(Integer.toUnsignedString(columns), MAX_COLUMNS));
    }
    if (scale < 1 || scale > MAX_SCALE) {
      throw RequestException.invalid(
          "scale",
          "scale %s: expected 1 to %d".formatted(Integer.toUnsignedString(scale), MAX_SCALE));
    }
    if (scale > 1
        && (format == ImageFormat.IMAGE_FORMAT_RAW || format == ImageFormat.IMAGE_FORMAT_FLOAT)) {
      throw RequestException.invalid(
          "scale",
          "scale %d: expected 1 for RAW and FLOAT; use PNG or SHEET, or leave it out"
              .formatted(scale));
    }
  }

  public static ImageRequest of(GenerateRequest request, ServedVersion model) {
    return of(request).withLabels(request, model);
  }

  /** A request without its labels, which depend on the version: see {@link #withLabels}. */
  public static ImageRequest of(GenerateRequest request) {
    List<Long> seeds = seeds(request);
    long countPerSeed = countPerSeed(request);
    return new ImageRequest(
        LatentSource.ofSeeds(
            seeds,
            request.getFirstIndex(),
            countPerSeed,
            temperature(request.hasTemperature(), request.getTemperature())),
        LabelSource.NONE,
        request.getFirstIndex(),
        countPerSeed,
        seeds.size() * countPerSeed,
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        scale(request.getScale()),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  /** This request with the labels that its images have in a version. */
  public ImageRequest withLabels(GenerateRequest request, ServedVersion model) {
    return withLabels(
        LabelSource.ofSeeds(
            seeds(request), first, countPerSeed, labelChoice(request.getLabelsList(), model)));
  }

  /** The number of images of a request that may prove invalid. */
  public static long count(GenerateRequest request) {
    return Math.max(1, request.getSeedsCount()) * countPerSeed(request);
  }

  /** A request for latents alone: the format has no meaning. */
  public static ImageRequest of(GetLatentsRequest request, ServedVersion model) {
    long count = Integer.toUnsignedLong(request.getCount());
    return new ImageRequest(
        LatentSource.ofSeeds(
            List.of(request.getSeed()),
            request.getFirstIndex(),
            count,
            temperature(request.hasTemperature(), request.getTemperature())),
        LabelSource.ofSeeds(
            List.of(request.getSeed()),
            request.getFirstIndex(),
            count,
            labelChoice(request.getLabelsList(), model)),
        request.getFirstIndex(),
        count,
        count,
        ImageFormat.IMAGE_FORMAT_RAW,
        1,
        1,
        Priority.NORMAL);
  }

  public static ImageRequest of(DecodeRequest request, ServedVersion model) {
    float[] latents = new float[request.getLatentsCount()];
    for (int i = 0; i < latents.length; i++) {
      latents[i] = request.getLatents(i);
    }
    LatentSource source = LatentSource.of(requireLatents("latents", latents, model));
    int count = latents.length / model.latentSize();
    return withoutSeed(
        source,
        labels(request, count, model),
        count,
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), ImageEncoder.DEFAULT_COLUMNS),
        scale(request.getScale()),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  public static ImageRequest of(InterpolateRequest request, ServedVersion model) {
    long count = Integer.toUnsignedLong(request.getCount());
    if (count < 2) {
      throw RequestException.invalid(
          "count", "count %d: expected 2 or more, both ends included".formatted(count));
    }
    int size = model.latentSize();
    float temperature = temperature(request.hasTemperature(), request.getTemperature());
    return withoutSeed(
        LatentSource.arc(
            point(request.getFrom(), temperature, size),
            point(request.getTo(), temperature, size),
            count),
        labels(request, count, model),
        count,
        format(request.getFormat(), request.getFormatValue()),
        columns(request.getColumns(), (int) Math.min(count, MAX_COLUMNS)),
        scale(request.getScale()),
        priority(request.getPriority(), request.getPriorityValue()));
  }

  /** A request for images that are not those of a seed. */
  public static ImageRequest withoutSeed(
      LatentSource source,
      LabelSource labels,
      long count,
      ImageFormat format,
      int columns,
      int scale,
      Priority priority) {
    return new ImageRequest(source, labels, 0, count, count, format, columns, scale, priority);
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

  private ImageRequest withLabels(LabelSource found) {
    return new ImageRequest(
        source, found, first, countPerSeed, count, format, columns, scale, priority);
  }

  private static LabelChoice labelChoice(List<String> labels, ServedVersion model) {
    try {
      return LabelChoice.of(model.classes(), labels);
    } catch (IllegalArgumentException e) {
      throw RequestException.invalid("labels", String.valueOf(e.getMessage()));
    }
  }

  private static int label(String field, String text, ServedVersion model) {
    try {
      return LabelChoice.find(model.classes(), text);
    } catch (IllegalArgumentException e) {
      throw RequestException.invalid(field, String.valueOf(e.getMessage()));
    }
  }

  private static LabelSource labels(DecodeRequest request, int count, ServedVersion model) {
    List<String> given = request.getLabelsList();
    if (given.isEmpty() && model.classes().isEmpty()) {
      return LabelSource.NONE;
    }
    long[] labels = given.stream().mapToLong(text -> label("labels", text, model)).toArray();
    if (labels.length != 1 && labels.length != count) {
      throw RequestException.invalid(
          "labels",
          "%d labels of %d latents: expected one, or one for each, of the classes %s"
              .formatted(labels.length, count, model.classes().orElseThrow()));
    }
    return LabelSource.of(labels);
  }

  private static LabelSource labels(InterpolateRequest request, long count, ServedVersion model) {
    Optional<ImageClasses> classes = model.classes();
    String from = request.getFromLabel();
    String to = request.getToLabel();
    if (classes.isEmpty() && from.isEmpty() && to.isEmpty()) {
      return LabelSource.NONE;
    }
    return LabelSource.between(
        from.isEmpty() ? drawn(request.getFrom(), model) : label("from_label", from, model),
        to.isEmpty() ? drawn(request.getTo(), model) : label("to_label", to, model),
        count,
        classes.orElseThrow().size());
  }

  private static int drawn(ImagePoint point, ServedVersion model) {
    return model.classes().map(all -> all.draw(point.getSeed(), point.getIndex())).orElse(0);
  }

  private static List<Long> seeds(GenerateRequest request) {
    if (request.getSeedsCount() == 0) {
      return List.of(request.getSeed());
    }
    if (request.getSeed() != 0) {
      throw RequestException.invalid(
          "seeds",
          "seed %s and %d seeds: expected either seed or seeds"
              .formatted(Long.toUnsignedString(request.getSeed()), request.getSeedsCount()));
    }
    if (request.getSeedsCount() > MAX_SEEDS) {
      throw RequestException.invalid(
          "seeds",
          "%d seeds: expected at most %d; divide them among several requests"
              .formatted(request.getSeedsCount(), MAX_SEEDS));
    }
    return request.getSeedsList();
  }

  private static long countPerSeed(GenerateRequest request) {
    boolean isDefault = request.getCount() == 0 && request.getSeedsCount() > 0;
    return isDefault ? 1 : Integer.toUnsignedLong(request.getCount());
  }

  private static float[] point(ImagePoint point, float temperature, int size) {
    return LatentSource.ofSeed(point.getSeed(), temperature).latents(point.getIndex(), 1, size);
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

  private static int scale(int scale) {
    return scale == 0 ? 1 : scale;
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
