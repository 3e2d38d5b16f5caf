package dev.dcgan.server;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a seed: any 64 bits, written as the wire's uint64, 0 to 18446744073709551615. */
public final class SeedConverter implements ITypeConverter<Long> {

  @Override
  public Long convert(String value) {
    try {
      return Long.parseUnsignedLong(value);
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "'%s' is not a seed; expected a whole number from 0 to 18446744073709551615"
              .formatted(value));
    }
  }
}
