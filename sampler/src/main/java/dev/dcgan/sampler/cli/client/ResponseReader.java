package dev.dcgan.sampler.cli.client;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImageShape;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * Checks a GenerateResponse without parsing it: reads its numbers and the lengths of its images,
 * which for RAW and FLOAT must match the count and the shape.
 */
public final class ResponseReader implements ResponseSummary.Reader {

  private final ImageFormat format;

  public ResponseReader(ImageFormat format) {
    this.format = format;
  }

  @Override
  public ResponseSummary read(InputStream message) throws IOException {
    CodedInputStream wire = CodedInputStream.newInstance(message);
    long firstIndex = 0;
    long count = 0;
    long values = 0; // Of one image.
    long blocks = 0; // Fields with images in the requested format,
    long length = 0; // and their length in bytes.
    int imagesField = imagesField();
    for (int tag = wire.readTag(); tag != 0; tag = wire.readTag()) {
      int field = WireFormat.getTagFieldNumber(tag);
      if (field == imagesField) {
        int bytes = wire.readRawVarint32();
        wire.skipRawBytes(bytes);
        blocks++;
        length += bytes;
      } else if (field == GenerateResponse.FIRST_INDEX_FIELD_NUMBER) {
        firstIndex = wire.readUInt64();
      } else if (field == GenerateResponse.COUNT_FIELD_NUMBER) {
        count = Integer.toUnsignedLong(wire.readUInt32());
      } else if (field == GenerateResponse.SHAPE_FIELD_NUMBER) {
        values = readValues(wire);
      } else {
        wire.skipField(tag);
      }
    }
    return new ResponseSummary(
        firstIndex, count, wire.getTotalBytesRead(), problem(count, values, blocks, length));
  }

  /** The number of values in an image, from its shape. */
  private static long readValues(CodedInputStream wire) throws IOException {
    int limit = wire.pushLimit(wire.readRawVarint32());
    long values = 1;
    for (int tag = wire.readTag(); tag != 0; tag = wire.readTag()) {
      switch (WireFormat.getTagFieldNumber(tag)) {
        case ImageShape.HEIGHT_FIELD_NUMBER,
            ImageShape.WIDTH_FIELD_NUMBER,
            ImageShape.CHANNELS_FIELD_NUMBER ->
            values *= wire.readUInt32();
        default -> wire.skipField(tag);
      }
    }
    wire.popLimit(limit);
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
