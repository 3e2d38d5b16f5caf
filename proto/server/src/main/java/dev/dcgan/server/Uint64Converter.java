package dev.dcgan.server;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a seed or an index: any 64 bits, written as the wire's uint64. */
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
