package dev.dcgan.sampler.http;

import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Images that are computed from the latents of others, as a URL. An image is {@code SEED:INDEX}.
 *
 * <ul>
 *   <li>{@code /v1/interpolate?from=42:3&to=42:7&count=9} is {@code Interpolate}
 *   <li>{@code /v1/arithmetic?a=42:0&b=42:7&c=42:3} is {@code Decode} of the latent a - b + c,
 *       which is added from left to right in float32
 * </ul>
 *
 * @param points the images by parameter
 * @param count images of an interpolation, a uint32
 * @param common all that such URLs share with those of images
 */
record DerivedUrl(String path, Map<String, ImagePoint> points, int count, GenerateRequest common)
    implements ImageQuery {

  static final String INTERPOLATE = "/v1/interpolate";
  static final String ARITHMETIC = "/v1/arithmetic";

  private static final int DEFAULT_COUNT = 9;
  private static final Set<String> COMMON =
      Set.of(
          "count",
          "format",
          "label",
          "model",
          "version",
          "temperature",
          "columns",
          "scale",
          "priority");

  /** Parses the query of {@link #INTERPOLATE}. */
  static DerivedUrl interpolate(String query) {
    DerivedUrl url =
        parse(INTERPOLATE, List.of("from", "to"), query, ImageFormat.IMAGE_FORMAT_SHEET);
    if (url.common.getFormat() == ImageFormat.IMAGE_FORMAT_PNG) {
      throw RequestException.invalid(
          "format", "format png: it is one image; use format=sheet, raw or float for several");
    }
    if (url.common.getLabelsCount() > 2) {
      throw RequestException.invalid(
          "labels",
          "%d labels: expected one, or those of from and of to"
              .formatted(url.common.getLabelsCount()));
    }
    return url;
  }

  /** Parses the query of {@link #ARITHMETIC}. */
  static DerivedUrl arithmetic(String query) {
    DerivedUrl url = parse(ARITHMETIC, List.of("a", "b", "c"), query, ImageFormat.IMAGE_FORMAT_PNG);
    if (url.common.getCount() > 1) {
      throw RequestException.invalid("count", "count: expected 1, or none");
    }
    if (url.common.getLabelsCount() > 1) {
      throw RequestException.invalid(
          "labels", "%d labels: expected at most one".formatted(url.common.getLabelsCount()));
    }
    return url;
  }

  private static DerivedUrl parse(
      String path, List<String> names, String query, ImageFormat defaultFormat) {
    Map<String, List<String>> given = ImageUrl.parameters(query);
    Map<String, ImagePoint> points = new LinkedHashMap<>();
    for (String name : names) {
      points.put(name, point(name, given.getOrDefault(name, List.of(""))));
    }
    GenerateRequest.Builder common = GenerateRequest.newBuilder().setFormat(defaultFormat);
    given.forEach(
        (name, values) -> {
          if (COMMON.contains(name)) {
            ImageUrl.set(common, name, values);
          } else if (!points.containsKey(name)) {
            throw RequestException.of(
                RequestException.Code.INVALID,
                "parameter '%s' is not known; there are %s"
                    .formatted(
                        name,
                        Stream.concat(names.stream(), COMMON.stream().sorted())
                            .collect(Collectors.joining(", "))));
          }
        });
    int count = given.containsKey("count") ? common.getCount() : DEFAULT_COUNT;
    return new DerivedUrl(path, points, count, common.build());
  }

  private static ImagePoint point(String name, List<String> values) {
    String[] parts = values.get(0).split(":", -1);
    if (parts.length != 2) {
      throw ImageUrl.wrong(name, values.get(0), "expected an image, SEED:INDEX");
    }
    return ImagePoint.newBuilder()
        .setSeed(ImageUrl.uint64(name, parts[0]))
        .setIndex(ImageUrl.uint64(name, parts[1]))
        .build();
  }

  @Override
  public ModelRef model() {
    return new ModelRef(common.getModel(), common.getVersion());
  }

  @Override
  public ImageRequest request(ServedVersion version) {
    return path.equals(INTERPOLATE) ? interpolation(version) : arithmetic(version);
  }

  private ImageRequest interpolation(ServedVersion version) {
    InterpolateRequest.Builder request =
        InterpolateRequest.newBuilder()
            .setFrom(points.get("from"))
            .setTo(points.get("to"))
            .setCount(count)
            .setFormat(common.getFormat())
            .setColumns(common.getColumns())
            .setScale(common.getScale())
            .setPriority(common.getPriority());
    if (common.hasTemperature()) {
      request.setTemperature(common.getTemperature());
    }
    if (common.getLabelsCount() > 0) {
      request.setFromLabel(common.getLabels(0));
      request.setToLabel(common.getLabels(common.getLabelsCount() - 1));
    }
    return ImageRequest.of(request.build(), version);
  }

  /** Of a model with classes: of the class that is requested, or of that of c. */
  private ImageRequest arithmetic(ServedVersion version) {
    ImageRequest c = latent("c", version);
    float[] start = values(latent("a", version), version);
    float[] minus = values(latent("b", version), version);
    float[] plus = values(c, version);
    DecodeRequest.Builder request =
        DecodeRequest.newBuilder()
            .setFormat(common.getFormat())
            .setColumns(common.getColumns())
            .setScale(common.getScale())
            .setPriority(common.getPriority());
    for (int i = 0; i < start.length; i++) {
      request.addLatents(start[i] - minus[i] + plus[i]);
    }
    version
        .classes()
        .ifPresent(classes -> request.addLabels(classes.name((int) c.labels().labels(0, 1)[0])));
    return ImageRequest.of(request.build(), version);
  }

  private ImageRequest latent(String name, ServedVersion version) {
    ImagePoint point = points.getOrDefault(name, ImagePoint.getDefaultInstance());
    GetLatentsRequest.Builder request =
        GetLatentsRequest.newBuilder()
            .setSeed(point.getSeed())
            .setFirstIndex(point.getIndex())
            .setCount(1)
            .addAllLabels(common.getLabelsList());
    if (common.hasTemperature()) {
      request.setTemperature(common.getTemperature());
    }
    return ImageRequest.of(request.build(), version);
  }

  private static float[] values(ImageRequest latent, ServedVersion version) {
    return latent.source().latents(0, 1, version.latentSize());
  }

  @Override
  public String canonical(ServedVersion version, ImageRequest request) {
    StringBuilder images = new StringBuilder();
    points.forEach(
        (name, point) ->
            images
                .append('&')
                .append(name)
                .append('=')
                .append(Long.toUnsignedString(point.getSeed()))
                .append(':')
                .append(Long.toUnsignedString(point.getIndex())));
    if (path.equals(INTERPOLATE)) {
      images.append("&count=").append(request.count());
    }
    return ImageUrl.canonical(path, version, images.toString(), common, request);
  }
}
