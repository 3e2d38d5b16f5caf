package dev.dcgan.sampler.cli.client;

import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImageShape;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * Checks a GenerateResponse without parsing it: reads its numbers, and of the images the lengths,
 * which for RAW and FLOAT must be what the count and the shape make.
 */
public final class ReplyReader implements Reply.Reader {

  private final ImageFormat format;

  public ReplyReader(ImageFormat format) {
    this.format = format;
  }

  @Override
  public Reply read(InputStream message) throws IOException {
    WireReader wire = new WireReader(message);
    long firstIndex = 0;
    long count = 0;
    long values = 0; // Of one image.
    long blocks = 0; // Of images in the format that was asked for,
    long length = 0; // and the length of them all.
    int imagesField = imagesField();
    for (int field = wire.nextField(); field != 0; field = wire.nextField()) {
      if (field == imagesField) {
        blocks++;
        length += wire.skip();
      } else if (field == GenerateResponse.FIRST_INDEX_FIELD_NUMBER) {
        firstIndex = wire.varint();
      } else if (field == GenerateResponse.COUNT_FIELD_NUMBER) {
        count = wire.varint();
      } else if (field == GenerateResponse.SHAPE_FIELD_NUMBER) {
        values = values(wire);
      } else {
        wire.skip();
      }
    }
    return new Reply(firstIndex, count, wire.position(), problem(count, values, blocks, length));
  }

  private static long values(WireReader wire) throws IOException {
    long length = wire.varint();
    long end = wire.position() + length;
    long values = 1;
    while (wire.position() < end) {
      switch (wire.nextField()) {
        case ImageShape.HEIGHT_FIELD_NUMBER,
            ImageShape.WIDTH_FIELD_NUMBER,
            ImageShape.CHANNELS_FIELD_NUMBER ->
            values *= wire.varint();
        default -> wire.skip();
      }
    }
    return values;
  }

  private int imagesField() {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> GenerateResponse.PIXELS_FIELD_NUMBER;
      case IMAGE_FORMAT_FLOAT -> GenerateResponse.FLOATS_FIELD_NUMBER;
      case IMAGE_FORMAT_SHEET -> GenerateResponse.SHEET_FIELD_NUMBER;
      default -> GenerateResponse.PNG_FIELD_NUMBER;
    };
  }

  private @Nullable String problem(long count, long values, long blocks, long length) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> unlessEqual("bytes of pixels", length, count * values);
      case IMAGE_FORMAT_FLOAT ->
          unlessEqual("bytes of floats", length, count * values * Float.BYTES);
      case IMAGE_FORMAT_SHEET -> unlessEqual("sheets", blocks, 1);
      default -> unlessEqual("PNGs", blocks, count);
    };
  }

  private static @Nullable String unlessEqual(String what, long found, long expected) {
    return found == expected ? null : "%d %s; expected %d".formatted(found, what, expected);
  }
}
