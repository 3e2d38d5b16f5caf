package dev.dcgan.server;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Parses a seed or an index as an unsigned 64-bit integer. */
public final class Uint64Converter implements ITypeConverter<Long> {

  @Override
  public Long convert(String value) {
    try {
      return Long.parseUnsignedLong(value);
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "'%s': expected a whole number from 0 to 18446744073709551615".formatted(value));
    }
  }
}
