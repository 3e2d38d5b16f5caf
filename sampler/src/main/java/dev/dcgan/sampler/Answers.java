package dev.dcgan.sampler;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.batch.Images;
import dev.dcgan.sampler.batch.Output;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;

/** Answers on the wire: how images become one, and how large it may be before they are made. */
final class Answers {

  // Everything but the images: names, digest, numbers, and the tag of a block.
  private static final long ENVELOPE_BYTES = 512;
  private static final long TAG_AND_LENGTH_BYTES = 6;
  // More than fit: an image takes a byte or more, and no answer more than 4 MiB.
  private static final int MORE_THAN_FIT = 1 << 23;

  private Answers() {}

  /** The form in which the network must give images for the format. */
  static Output output(ImageFormat format) {
    return format == ImageFormat.IMAGE_FORMAT_FLOAT ? Output.FLOATS : Output.PIXELS;
  }

  /** The format's name as people write it: {@code png}. */
  static String name(ImageFormat format) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> "raw";
      case IMAGE_FORMAT_FLOAT -> "float";
      case IMAGE_FORMAT_SHEET -> "sheet";
      default -> "png";
    };
  }

  /** The most images whose answer is sure to take {@code limit} bytes or less; may be 0. */
  static int maxCount(ImageFormat format, ImageShape shape, long limit) {
    int fits = 0;
    int tooMany = MORE_THAN_FIT;
    while (tooMany - fits > 1) {
      int count = (fits + tooMany) / 2;
      if (maxBytes(format, shape, count) <= limit) {
        fits = count;
      } else {
        tooMany = count;
      }
    }
    return fits;
  }

  /** Encodes the images [first, first + images.count()). */
  static GenerateResponse render(LoadedModel model, ImageFormat format, long first, Images images) {
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
          answer.setSheet(wrap(ImageEncoder.sheet(shape, bytes, images.count())));
      default -> {
        for (int i = 0; i < images.count(); i++) {
          answer.addPng(wrap(ImageEncoder.png(shape, bytes, i * shape.values())));
        }
      }
    }
    return answer.build();
  }

  private static long maxBytes(ImageFormat format, ImageShape shape, int count) {
    return ENVELOPE_BYTES
        + switch (format) {
          case IMAGE_FORMAT_RAW -> (long) count * shape.values();
          case IMAGE_FORMAT_FLOAT -> (long) count * shape.values() * Float.BYTES;
          case IMAGE_FORMAT_SHEET -> ImageEncoder.maxSheetBytes(shape, count);
          default -> count * (TAG_AND_LENGTH_BYTES + ImageEncoder.maxPngBytes(shape));
        };
  }

  /** Without a copy: nobody else has the array, or changes it. */
  private static ByteString wrap(byte[] bytes) {
    return UnsafeByteOperations.unsafeWrap(bytes);
  }
}
