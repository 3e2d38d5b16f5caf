package dev.dcgan.sampler.http;

import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseEncoder;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/** Images as a URL: {@code /v1/images?seed=42&count=25}. */
public final class ImageUrl {

  public static final String PATH = "/v1/images";

  private static final int IMAGES_OF_A_SHEET = 25;
  private static final String NAMES =
      "seed, count, first, format, model, version, temperature, columns and priority";
  private static final String WHOLE = "expected a whole number from 0 to %s";
  private static final long MOST_UINT32 = 0xFFFF_FFFFL;
  private static final Pattern DIGITS = Pattern.compile("[0-9]+");
  private static final Pattern DECIMAL = Pattern.compile("[0-9]*\\.?[0-9]+([eE][-+]?[0-9]+)?");

  private ImageUrl() {}

  /**
   * What a query asks for, with the defaults of HTTP.
   *
   * @param query as it was sent, escapes and all
   * @throws RequestException a parameter is unknown, repeated or does not parse; its range is checked by
   *     {@link ImageRequest}
   */
  static GenerateRequest parse(String query) {
    Map<String, String> given = parameters(query);
    GenerateRequest.Builder asked =
        GenerateRequest.newBuilder().setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
    given.forEach((name, value) -> set(asked, name, value));
    boolean sheet = asked.getFormat() == ImageFormat.IMAGE_FORMAT_SHEET;
    if (!given.containsKey("count")) {
      asked.setCount(sheet ? IMAGES_OF_A_SHEET : 1);
    }
    if (asked.getFormat() == ImageFormat.IMAGE_FORMAT_PNG && asked.getCount() != 1) {
      throw RequestException.invalid(
          "count",
          "count %s: format=png is one picture; several are format=sheet, raw or float"
              .formatted(Integer.toUnsignedString(asked.getCount())));
    }
    return asked.build();
  }

  /**
   * The one URL of the same images that names all that they depend on: path and query.
   *
   * @param wanted what was asked, checked
   */
  static String canonical(ServedVersion model, GenerateRequest asked, ImageRequest wanted) {
    StringBuilder url = new StringBuilder(PATH);
    url.append("?model=").append(escaped(model.version().getName()));
    url.append("&version=").append(Long.toUnsignedString(model.version().getVersion()));
    url.append("&seed=").append(Long.toUnsignedString(asked.getSeed()));
    url.append("&first=").append(wanted.first());
    url.append("&count=").append(wanted.count());
    url.append("&format=").append(ResponseEncoder.name(wanted.format()));
    if (wanted.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
      url.append("&columns=").append(wanted.columns());
    }
    if (asked.hasTemperature() && asked.getTemperature() != 1) {
      url.append("&temperature=").append(asked.getTemperature());
    }
    return url.toString();
  }

  private static Map<String, String> parameters(String query) {
    Map<String, String> parameters = new LinkedHashMap<>();
    if (query.isEmpty()) {
      return parameters;
    }
    for (String part : query.split("&", -1)) {
      int equals = part.indexOf('=');
      String name = unescaped(equals < 0 ? part : part.substring(0, equals));
      String value = equals < 0 ? "" : unescaped(part.substring(equals + 1));
      if (parameters.putIfAbsent(name, value) != null) {
        throw RequestException.of(
            RequestException.Kind.INVALID, "parameter '%s' is there more than once".formatted(name));
      }
    }
    return parameters;
  }

  private static void set(GenerateRequest.Builder asked, String name, String value) {
    switch (name) {
      case "seed" -> asked.setSeed(uint64(name, value));
      case "count" -> asked.setCount(uint32(name, value));
      case "first" -> asked.setFirstIndex(uint64(name, value));
      case "format" -> asked.setFormat(format(value));
      case "model" -> asked.setModel(required(name, value, "expected a model's name"));
      case "version" -> asked.setVersion(uint64(name, value));
      case "temperature" -> asked.setTemperature(decimal(name, value));
      case "columns" -> asked.setColumns(uint32(name, value));
      case "priority" -> asked.setPriority(priority(value));
      default ->
          throw RequestException.of(
              RequestException.Kind.INVALID,
              "parameter '%s' is not known; there are %s".formatted(name, NAMES));
    }
  }

  private static ImageFormat format(String value) {
    return switch (value) {
      case "sheet" -> ImageFormat.IMAGE_FORMAT_SHEET;
      case "png" -> ImageFormat.IMAGE_FORMAT_PNG;
      case "raw" -> ImageFormat.IMAGE_FORMAT_RAW;
      case "float" -> ImageFormat.IMAGE_FORMAT_FLOAT;
      default -> throw wrong("format", value, "expected sheet, png, raw or float");
    };
  }

  private static Priority priority(String value) {
    return switch (value) {
      case "low" -> Priority.PRIORITY_LOW;
      case "normal" -> Priority.PRIORITY_NORMAL;
      case "high" -> Priority.PRIORITY_HIGH;
      default -> throw wrong("priority", value, "expected low, normal or high");
    };
  }

  private static String required(String name, String value, String expected) {
    if (value.isEmpty()) {
      throw wrong(name, value, expected);
    }
    return value;
  }

  private static long uint64(String name, String value) {
    String expected = WHOLE.formatted(Long.toUnsignedString(-1));
    if (!DIGITS.matcher(value).matches()) {
      throw wrong(name, value, expected);
    }
    try {
      return Long.parseUnsignedLong(value);
    } catch (NumberFormatException e) {
      throw wrong(name, value, expected);
    }
  }

  private static int uint32(String name, String value) {
    String expected = WHOLE.formatted(MOST_UINT32);
    if (!DIGITS.matcher(value).matches()) {
      throw wrong(name, value, expected);
    }
    try {
      return Integer.parseUnsignedInt(value);
    } catch (NumberFormatException e) {
      throw wrong(name, value, expected);
    }
  }

  private static float decimal(String name, String value) {
    if (!DECIMAL.matcher(value).matches()) {
      throw wrong(name, value, "expected a number above 0, at most 2");
    }
    return Float.parseFloat(value);
  }

  private static RequestException wrong(String name, String value, String expected) {
    return RequestException.invalid(name, "%s '%s': %s".formatted(name, value, expected));
  }

  private static String unescaped(String part) {
    try {
      return URLDecoder.decode(part, StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw RequestException.of(RequestException.Kind.INVALID, "'%s' has a broken %%-escape".formatted(part));
    }
  }

  private static String escaped(String name) {
    return URLEncoder.encode(name, StandardCharsets.UTF_8);
  }
}
