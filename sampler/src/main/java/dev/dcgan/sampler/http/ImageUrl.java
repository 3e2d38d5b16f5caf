package dev.dcgan.sampler.http;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.sampler.core.GenerateEncoding;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Images as a URL: {@code /v1/images?seed=42&count=25}. */
final class ImageUrl {

  static final String PATH = "/v1/images";

  private static final int DEFAULT_SHEET_IMAGES = 25;
  private static final String NAMES =
      "seed, seeds, count, first, format, label, model, version, temperature, columns, scale and"
          + " priority";
  // Added to links by mail programs, advertisements and social networks; they mean nothing here.
  private static final Pattern TRACKING =
      Pattern.compile(
          "(utm|gad|hsa|mtm|pk|piwik|matomo|oly|vero)_[a-z_]+|[a-z_]*cli(d|ckid)|msclkid|gclsrc"
              + "|gbraid|wbraid|srsltid|igshid|igsh|li_fat_id|mc_cid|mc_eid|_ga|_gl|_hsenc|_hsmi"
              + "|__hs[a-z]+|hsCtaTracking|mkt_tok|_ke|_kx|epik|ef_id|s_kwcid|s_cid|ScCid|ref_src"
              + "|_branch_match_id|_openstat");
  private static final String WHOLE = "expected a whole number from 0 to %s";
  private static final Set<String> REPEATABLE = Set.of("seed", "label");
  private static final long MAX_UINT32 = 0xFFFF_FFFFL;
  private static final Pattern DIGITS = Pattern.compile("[0-9]+");
  private static final Pattern DECIMAL = Pattern.compile("[0-9]*\\.?[0-9]+([eE][-+]?[0-9]+)?");

  private ImageUrl() {}

  /** Parses a query; what depends on no version is checked. */
  static ImageQuery query(String query) {
    GenerateRequest generate = parse(query);
    ImageRequest parsed = ImageRequest.of(generate);
    return new ImageQuery() {
      @Override
      public ModelRef model() {
        return new ModelRef(generate.getModel(), generate.getVersion());
      }

      @Override
      public ImageRequest request(ServedVersion version) {
        return parsed.withLabels(generate, version);
      }

      @Override
      public String canonical(ServedVersion version, ImageRequest request) {
        return ImageUrl.canonical(version, generate, request);
      }
    };
  }

  /**
   * Parses a query, with the defaults of HTTP. Empty parts and {@link #TRACKING} parameters are
   * ignored, as are columns for formats other than sheet: neither is part of the canonical URL.
   *
   * @param query as it was sent, with its escapes
   * @throws RequestException a parameter is unknown, repeated or does not parse; its range is
   *     checked by {@link ImageRequest}
   */
  static GenerateRequest parse(String query) {
    Map<String, List<String>> given = parameters(query);
    GenerateRequest.Builder parsed =
        GenerateRequest.newBuilder().setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
    given.forEach((name, values) -> set(parsed, name, values));
    boolean sheet = parsed.getFormat() == ImageFormat.IMAGE_FORMAT_SHEET;
    if (!sheet) {
      parsed.clearColumns();
    }
    if (given.containsKey("seed") && given.containsKey("seeds")) {
      throw RequestException.invalid(
          "seeds", "seed and seeds: expected either seed, which may repeat, or seeds");
    }
    if (!given.containsKey("count")) {
      parsed.setCount(sheet && parsed.getSeedsCount() == 0 ? DEFAULT_SHEET_IMAGES : 1);
    }
    if (parsed.getFormat() == ImageFormat.IMAGE_FORMAT_PNG && parsed.getSeedsCount() > 1) {
      throw RequestException.invalid(
          "seeds",
          "%d seeds: format=png is one image; use format=sheet, raw or float for several"
              .formatted(parsed.getSeedsCount()));
    }
    if (parsed.getFormat() == ImageFormat.IMAGE_FORMAT_PNG && parsed.getCount() != 1) {
      throw RequestException.invalid(
          "count",
          "count %s: format=png is one image; use format=sheet, raw or float for several"
              .formatted(Integer.toUnsignedString(parsed.getCount())));
    }
    return parsed.build();
  }

  /** The canonical URL of the same images, path and query: it names all that they depend on. */
  static String canonical(ServedVersion model, GenerateRequest query, ImageRequest request) {
    String images =
        "&%s=%s&first=%d&count=%d"
            .formatted(
                query.getSeedsCount() > 1 ? "seeds" : "seed",
                seeds(query),
                request.first(),
                request.countPerSeed());
    return canonical(PATH, model, images, query, request);
  }

  /**
   * The canonical URL of images.
   *
   * @param images which they are: a part of a query, with {@code &} before each parameter
   * @param query temperature and labels
   */
  static String canonical(
      String path,
      ServedVersion model,
      String images,
      GenerateRequest query,
      ImageRequest request) {
    StringBuilder url = new StringBuilder(path);
    url.append("?model=").append(escaped(model.version().getName()));
    url.append("&version=").append(Long.toUnsignedString(model.version().getVersion()));
    url.append(images);
    url.append("&format=").append(GenerateEncoding.name(request.format()));
    if (request.format() == ImageFormat.IMAGE_FORMAT_SHEET) {
      url.append("&columns=").append(request.columns());
    }
    if (request.scale() != 1) {
      url.append("&scale=").append(request.scale());
    }
    if (query.hasTemperature() && query.getTemperature() != 1) {
      url.append("&temperature=").append(query.getTemperature());
    }
    // By their names: a position may also be the name of another class.
    Optional<ImageClasses> classes = model.classes();
    for (String label : query.getLabelsList()) {
      String name = classes.orElseThrow().name(LabelChoice.find(classes, label));
      url.append("&label=").append(escaped(name));
    }
    return url.toString();
  }

  private static String seeds(GenerateRequest query) {
    return query.getSeedsCount() == 0
        ? Long.toUnsignedString(query.getSeed())
        : query.getSeedsList().stream()
            .map(Long::toUnsignedString)
            .collect(Collectors.joining(","));
  }

  /** The values of each parameter; of {@link #REPEATABLE} ones several. */
  static Map<String, List<String>> parameters(String query) {
    Map<String, List<String>> parameters = new LinkedHashMap<>();
    for (String part : query.split("&", -1)) {
      int equals = part.indexOf('=');
      String name = unescaped(equals < 0 ? part : part.substring(0, equals));
      if (part.isEmpty() || TRACKING.matcher(name).matches()) {
        continue;
      }
      String value = equals < 0 ? "" : unescaped(part.substring(equals + 1));
      List<String> values = parameters.computeIfAbsent(name, first -> new ArrayList<>());
      values.add(value);
      if (values.size() > 1 && !REPEATABLE.contains(name)) {
        throw RequestException.of(
            RequestException.Code.INVALID,
            "parameter '%s' is there more than once".formatted(name));
      }
    }
    return parameters;
  }

  static void set(GenerateRequest.Builder query, String name, List<String> values) {
    String value = values.get(0);
    switch (name) {
      case "seed", "seeds" -> setSeeds(query, name, String.join(",", values));
      case "label" -> query.addAllLabels(values);
      case "count" -> query.setCount(uint32(name, value));
      case "first" -> query.setFirstIndex(uint64(name, value));
      case "format" -> query.setFormat(format(value));
      case "model" -> query.setModel(required(name, value, "expected a model's name"));
      case "version" -> query.setVersion(uint64(name, value));
      case "temperature" -> query.setTemperature(decimal(name, value));
      case "columns" -> query.setColumns(uint32(name, value));
      case "scale" -> query.setScale(uint32(name, value));
      case "priority" -> query.setPriority(priority(value));
      default ->
          throw RequestException.of(
              RequestException.Code.INVALID,
              "parameter '%s' is not known; there are %s".formatted(name, NAMES));
    }
  }

  /** One seed, or several with commas. */
  private static void setSeeds(GenerateRequest.Builder query, String name, String value) {
    if (name.equals("seed") && value.indexOf(',') < 0) {
      query.setSeed(uint64(name, value));
      return;
    }
    for (String seed : value.split(",", -1)) {
      query.addSeeds(uint64(name, seed));
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

  static long uint64(String name, String value) {
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
    String expected = WHOLE.formatted(MAX_UINT32);
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

  static RequestException wrong(String name, String value, String expected) {
    return RequestException.invalid(name, "%s '%s': %s".formatted(name, value, expected));
  }

  private static String unescaped(String part) {
    try {
      return URLDecoder.decode(part, StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw RequestException.of(
          RequestException.Code.INVALID, "'%s' has a broken %%-escape".formatted(part));
    }
  }

  private static String escaped(String name) {
    return URLEncoder.encode(name, StandardCharsets.UTF_8);
  }
}
