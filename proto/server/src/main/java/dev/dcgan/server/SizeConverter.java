package dev.dcgan.server;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Parses numbers of bytes such as {@code 500MiB} and {@code 20GiB}. */
public final class SizeConverter implements ITypeConverter<Long> {

  private static final Pattern FORM = Pattern.compile("(\\d{1,6})(KiB|MiB|GiB|TiB)");

  @Override
  public Long convert(String value) {
    Matcher form = FORM.matcher(value);
    if (!form.matches()) {
      throw new TypeConversionException(
          "'%s' is not a size; expected a whole number with KiB, MiB, GiB or TiB, such as 20GiB"
              .formatted(value));
    }
    long number = Long.parseLong(form.group(1));
    return switch (form.group(2)) {
      case "KiB" -> number << 10;
      case "MiB" -> number << 20;
      case "GiB" -> number << 30;
      default -> number << 40;
    };
  }
}
