package dev.dcgan.sampler.core;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import java.util.Arrays;
import java.util.Locale;

/**
 * Encodes images as {@link GenerateResponse}s.
 *
 * @param advice what the client of a request for too many images should do
 */
public record GenerateEncoding(Advice advice) implements ResponseEncoding<GenerateResponse> {

  /** What the client of a request for too many images should do, by the request's format. */
  @FunctionalInterface
  public interface Advice {
    String of(ImageFormat format);
  }

  private static final int MAX_CHUNK_BYTES = (1 << 20) - 1;
  // Enough to keep two sessions busy while the chunk before is on its way.
  private static final int MAX_CHUNK_IMAGES = 256;
  // Everything but the images: names, digest, numbers, and the tag of a block.
  private static final long ENVELOPE_BYTES = 512;
  private static final long TAG_AND_LENGTH_BYTES = 6;
  // A varint below 2^14: there are at most 10,000 classes.
  private static final int LABEL_BYTES = 2;
  // More than fit: an image takes a byte or more, and no response more than 4 MiB.
  private static final int MORE_THAN_FIT = 1 << 23;

  /** The name of a format as people write it: {@code png}. */
  public static String name(ImageFormat format) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> "raw";
      case IMAGE_FORMAT_FLOAT -> "float";
      case IMAGE_FORMAT_SHEET -> "sheet";
      default -> "png";
    };
  }

  @Override
  public String label(ImageRequest request) {
    return name(request.format());
  }

  @Override
  public boolean isCheap(ImageRequest request) {
    return request.format() == ImageFormat.IMAGE_FORMAT_RAW
        || request.format() == ImageFormat.IMAGE_FORMAT_FLOAT;
  }

  @Override
  public long requireFits(ImageRequest request, ServedVersion version) {
    int queue = version.scheduler().policy().maxImagesOfCaller();
    int limit = ResponseBudget.MAX_RESPONSE_BYTES;
    if (request.count() > Math.min(queue, MORE_THAN_FIT)
        || maxBytes(request, version, (int) request.count()) > limit) {
      boolean isOneSeed = request.count() == request.countPerSeed();
      throw RequestException.invalid(
          isOneSeed ? "count" : "seeds",
          "%s %d exceeds %d images of %s as %s%s in one response of at most %d bytes; %s"
              .formatted(
                  isOneSeed ? "count" : "seeds times count",
                  request.count(),
                  Math.min(queue, maxCount(request, version, limit)),
                  version.shape(),
                  label(request).toUpperCase(Locale.ROOT),
                  atScale(request),
                  limit,
                  advice.of(request.format())));
    }
    return maxBytes(request, version, (int) request.count());
  }

  /**
   * The number of images in a chunk of a stream.
   *
   * @throws RequestException INVALID: not one image fits into a chunk, or the format has no chunks
   */
  int chunkSize(ImageRequest request, ServedVersion version) {
    if (request.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
      throw RequestException.invalid("format", "SHEET is one image; use Generate");
    }
    int fit = maxCount(request, version, MAX_CHUNK_BYTES);
    if (fit == 0) {
      throw RequestException.invalid(
          "format",
          "one image of %s as %s%s exceeds %d bytes; use another format%s"
              .formatted(
                  version.shape(),
                  label(request),
                  atScale(request),
                  MAX_CHUNK_BYTES,
                  request.scale() == 1 ? "" : " or a smaller scale"));
    }
    // A short queue has room for other requests too.
    int share = Math.max(1, version.scheduler().policy().maxQueueImages() / 4);
    return Math.min(fit, Math.min(MAX_CHUNK_IMAGES, share));
  }

  /** The most bytes that so many images take. */
  long maxBytes(ImageRequest request, ServedVersion version, int count) {
    ImageShape shape = version.shape();
    return ENVELOPE_BYTES
        + (long) count * labelBytes(version)
        + switch (request.format()) {
          case IMAGE_FORMAT_RAW -> (long) count * shape.values();
          case IMAGE_FORMAT_FLOAT -> (long) count * shape.values() * Float.BYTES;
          case IMAGE_FORMAT_SHEET ->
              ImageEncoder.maxSheetBytes(shape, count, request.columns(), request.scale());
          default ->
              count * (TAG_AND_LENGTH_BYTES + ImageEncoder.maxPngBytes(shape, request.scale()));
        };
  }

  /** The most bytes that the label of an image takes; 0 if the model has no classes. */
  static int labelBytes(ServedVersion version) {
    return version.classes().isPresent() ? LABEL_BYTES : 0;
  }

  @Override
  public GenerateResponse encode(
      ImageRequest request, ServedVersion version, long first, Images images) {
    ImageShape shape = version.shape();
    GenerateResponse.Builder response =
        GenerateResponse.newBuilder()
            .setModel(version.version())
            .setShape(shape.toProto())
            .setFirstIndex(request.first() + first % request.countPerSeed())
            .setSeedIndex((int) (first / request.countPerSeed()))
            .setCount(images.count())
            .setProvider(version.provider().toString());
    addLabels(response, request, version, first, images.count());
    byte[] bytes = images.bytes();
    switch (request.format()) {
      case IMAGE_FORMAT_RAW -> response.setPixels(wrap(bytes));
      case IMAGE_FORMAT_FLOAT -> response.setFloats(wrap(ImageEncoder.channelsLast(shape, bytes)));
      case IMAGE_FORMAT_SHEET ->
          response.setSheet(
              wrap(
                  ImageEncoder.sheet(
                      shape, bytes, images.count(), request.columns(), request.scale())));
      default -> {
        for (int i = 0; i < images.count(); i++) {
          int offset = i * shape.values();
          response.addPng(wrap(ImageEncoder.png(shape, bytes, offset, request.scale())));
        }
      }
    }
    return response.build();
  }

  /** None if the model has no classes, or where an image is between two. */
  private static void addLabels(
      GenerateResponse.Builder response,
      ImageRequest request,
      ServedVersion version,
      long first,
      int count) {
    if (version.classes().isEmpty()) {
      return;
    }
    int classes = version.classes().get().size();
    long[] labels = request.labels().labels(first, count);
    if (Arrays.stream(labels).allMatch(label -> label < classes)) {
      for (long label : labels) {
        response.addLabels((int) label);
      }
    }
  }

  /** The most images whose response is sure to take {@code limit} bytes or less; may be 0. */
  private int maxCount(ImageRequest request, ServedVersion version, long limit) {
    int fits = 0;
    int tooMany = MORE_THAN_FIT;
    while (tooMany - fits > 1) {
      int count = (fits + tooMany) / 2;
      if (maxBytes(request, version, count) <= limit) {
        fits = count;
      } else {
        tooMany = count;
      }
    }
    return fits;
  }

  private static String atScale(ImageRequest request) {
    return request.scale() == 1 ? "" : " at scale " + request.scale();
  }

  /** Wraps without a copy: nobody else has the array, or changes it. */
  private static ByteString wrap(byte[] bytes) {
    return UnsafeByteOperations.unsafeWrap(bytes);
  }
}
