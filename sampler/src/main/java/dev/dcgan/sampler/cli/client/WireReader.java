package dev.dcgan.sampler.cli.client;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;

/** Walks over a message in protobuf's wire format, without a buffer of its own. */
final class WireReader {

  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int LENGTH_DELIMITED = 2;
  private static final int FIXED32 = 5;

  private final InputStream message;

  // Mutable state
  private long position;
  private int tag;

  WireReader(InputStream message) {
    this.message = message;
  }

  /** Bytes read or skipped so far. */
  long position() {
    return position;
  }

  /** Moves to the next field and returns its number; 0 at the end of the message. */
  int nextField() throws IOException {
    int first = message.read();
    if (first < 0) {
      return 0;
    }
    position++;
    tag = (int) varint(first);
    return tag >>> 3;
  }

  long varint() throws IOException {
    return varint(next());
  }

  /** Skips the field that {@link #nextField} named; returns the bytes of its value. */
  long skip() throws IOException {
    long length =
        switch (tag & 7) {
          case VARINT -> {
            varint();
            yield 0;
          }
          case FIXED64 -> Long.BYTES;
          case LENGTH_DELIMITED -> varint();
          case FIXED32 -> Integer.BYTES;
          default -> throw new IOException("wire type %d is none".formatted(tag & 7));
        };
    message.skipNBytes(length);
    position += length;
    return length;
  }

  private long varint(int first) throws IOException {
    long value = first & 0x7F;
    int last = first;
    for (int shift = 7; last >= 0x80 && shift < Long.SIZE; shift += 7) {
      last = next();
      value |= (long) (last & 0x7F) << shift;
    }
    return value;
  }

  private int next() throws IOException {
    int next = message.read();
    if (next < 0) {
      throw new EOFException("the message ends within a field");
    }
    position++;
    return next;
  }
}
