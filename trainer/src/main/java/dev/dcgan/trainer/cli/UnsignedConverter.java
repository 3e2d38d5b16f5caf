package dev.dcgan.trainer.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a count, 0 to 2147483647. */
final class UnsignedConverter implements ITypeConverter<Integer> {

  @Override
  public Integer convert(String value) {
    if (!value.matches("[0-9]{1,10}") || Long.parseLong(value) > Integer.MAX_VALUE) {
      throw new TypeConversionException(
          "'%s' is not a count; expected a whole number from 0 to %d"
              .formatted(value, Integer.MAX_VALUE));
    }
    return Integer.valueOf(value);
  }
}
