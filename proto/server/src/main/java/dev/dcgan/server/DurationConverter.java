package dev.dcgan.server;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Parses durations such as {@code 2ms}, {@code 5s}, {@code 10m} and {@code 0}. */
final class DurationConverter implements ITypeConverter<Duration> {

  private static final Pattern FORM = Pattern.compile("0|(\\d{1,6})(us|ms|s|m|h)");

  @Override
  public Duration convert(String value) {
    Matcher form = FORM.matcher(value);
    if (!form.matches()) {
      throw new TypeConversionException(
          "'%s' is not a duration; expected a whole number with us, ms, s, m or h, such as 2ms"
              .formatted(value));
    }
    if (form.group(1) == null) {
      return Duration.ZERO;
    }
    long number = Long.parseLong(form.group(1));
    return switch (form.group(2)) {
      case "us" -> Duration.ofNanos(1000 * number);
      case "ms" -> Duration.ofMillis(number);
      case "s" -> Duration.ofSeconds(number);
      case "m" -> Duration.ofMinutes(number);
      default -> Duration.ofHours(number);
    };
  }
}
