package dev.dcgan.sampler.core;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;

/** Answers on the wire: how images become one, and how large it may be before they are made. */
public final class ResponseEncoder {

  // Everything but the images: names, digest, numbers, and the tag of a block.
  private static final long ENVELOPE_BYTES = 512;
  private static final long TAG_AND_LENGTH_BYTES = 6;
  // More than fit: an image takes a byte or more, and no answer more than 4 MiB.
  private static final int MORE_THAN_FIT = 1 << 23;

  private ResponseEncoder() {}

  /** The form in which the network must give images for the format. */
  static Output output(ImageFormat format) {
    return format == ImageFormat.IMAGE_FORMAT_FLOAT ? Output.FLOATS : Output.PIXELS;
  }

  /** The format's name as people write it: {@code png}. */
  public static String name(ImageFormat format) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> "raw";
      case IMAGE_FORMAT_FLOAT -> "float";
      case IMAGE_FORMAT_SHEET -> "sheet";
      default -> "png";
    };
  }

  /** Whether to encode takes so little that it is done where the answer is sent from. */
  public static boolean isCheap(ImageFormat format) {
    return format == ImageFormat.IMAGE_FORMAT_RAW || format == ImageFormat.IMAGE_FORMAT_FLOAT;
  }

  /** Whether the answer is sure to take {@code limit} bytes or less. */
  static boolean fits(ImageRequest asked, ImageShape shape, long limit) {
    return asked.count() < MORE_THAN_FIT && maxBytes(asked, shape, (int) asked.count()) <= limit;
  }

  /** The most bytes that so many images of a request take. */
  public static long maxBytes(ImageRequest asked, ImageShape shape, int count) {
    return maxBytes(asked.format(), asked.columns(), shape, count);
  }

  /** The most images whose answer is sure to take {@code limit} bytes or less; may be 0. */
  static int maxCount(ImageFormat format, int columns, ImageShape shape, long limit) {
    int fits = 0;
    int tooMany = MORE_THAN_FIT;
    while (tooMany - fits > 1) {
      int count = (fits + tooMany) / 2;
      if (maxBytes(format, columns, shape, count) <= limit) {
        fits = count;
      } else {
        tooMany = count;
      }
    }
    return fits;
  }

  /**
   * Refuses more latents than fit into one answer.
   *
   * @return the most bytes that the answer takes
   */
  public static long requireLatentsFit(ServedVersion model, ImageRequest asked) {
    int size = model.latentSize();
    long most = (ImageService.MAX_ANSWER_BYTES - ENVELOPE_BYTES) / ((long) size * Float.BYTES);
    if (asked.count() > most) {
      throw RequestException.invalid(
          "count",
          "count %d exceeds %d latents of %d floats in one answer of at most %d bytes; ask for fewer"
              .formatted(asked.count(), most, size, ImageService.MAX_ANSWER_BYTES));
    }
    return ENVELOPE_BYTES + asked.count() * size * Float.BYTES;
  }

  /** The latents of a request. */
  public static GetLatentsResponse latents(ServedVersion model, ImageRequest asked) {
    int size = model.latentSize();
    GetLatentsResponse.Builder answer =
        GetLatentsResponse.newBuilder().setModel(model.version()).setLatentSize(size);
    for (float value : asked.source().latents(asked.first(), (int) asked.count(), size)) {
      answer.addLatents(value);
    }
    return answer.build();
  }

  /** Encodes the images [first, first + images.count()). */
  static GenerateResponse render(
      ServedVersion model, ImageFormat format, int columns, long first, Images images) {
    ImageShape shape = model.shape();
    GenerateResponse.Builder answer =
        GenerateResponse.newBuilder()
            .setModel(model.version())
            .setShape(shape.toProto())
            .setFirstIndex(first)
            .setCount(images.count())
            .setProvider(model.provider().toString());
    byte[] bytes = images.bytes();
    switch (format) {
      case IMAGE_FORMAT_RAW -> answer.setPixels(wrap(bytes));
      case IMAGE_FORMAT_FLOAT -> answer.setFloats(wrap(ImageEncoder.channelsLast(shape, bytes)));
      case IMAGE_FORMAT_SHEET ->
          answer.setSheet(wrap(ImageEncoder.sheet(shape, bytes, images.count(), columns)));
      default -> {
        for (int i = 0; i < images.count(); i++) {
          answer.addPng(wrap(ImageEncoder.png(shape, bytes, i * shape.values())));
        }
      }
    }
    return answer.build();
  }

  private static long maxBytes(ImageFormat format, int columns, ImageShape shape, int count) {
    return ENVELOPE_BYTES
        + switch (format) {
          case IMAGE_FORMAT_RAW -> (long) count * shape.values();
          case IMAGE_FORMAT_FLOAT -> (long) count * shape.values() * Float.BYTES;
          case IMAGE_FORMAT_SHEET -> ImageEncoder.maxSheetBytes(shape, count, columns);
          default -> count * (TAG_AND_LENGTH_BYTES + ImageEncoder.maxPngBytes(shape));
        };
  }

  /** Without a copy: nobody else has the array, or changes it. */
  private static ByteString wrap(byte[] bytes) {
    return UnsafeByteOperations.unsafeWrap(bytes);
  }
}
