package dev.dcgan.sampler.http;

import dev.dcgan.model.Sha256;
import dev.dcgan.sampler.models.ServedVersion;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/**
 * The strong validator (RFC 9110, 8.8) of images, known before they are made: the same for the same
 * bytes, another where a model's bytes, the kind of provider or any parameter differs.
 *
 * <p>Replicas on several kinds of processor, or with several builds of zlib, make bytes of their
 * own for the same tag: images at most one grey level apart.
 *
 * @param text as it stands in a header, quotes and all
 */
record ImageTag(String text) {

  // To be increased whenever the same pixels are encoded into other bytes.
  private static final String ENCODING = "1";
  private static final int DIGITS = 32;

  /**
   * The tag of the images at a URL.
   *
   * @param url canonical: it names all that the images depend on
   */
  static ImageTag of(ServedVersion model, String url) {
    String all =
        String.join("\n", ENCODING, url, model.version().getSha256(), model.provider() + "");
    String digest = new Sha256().add(all.getBytes(StandardCharsets.UTF_8)).hex();
    return new ImageTag('"' + digest.substring(0, DIGITS) + '"');
  }

  /**
   * Whether a client has these images already (weak comparison, RFC 9110, 8.8.3.2).
   *
   * @param known the values of the headers {@code If-None-Match}
   */
  boolean isAmong(List<String> known) {
    return tags(known)
        .map(tag -> tag.startsWith("W/") ? tag.substring(2) : tag)
        .anyMatch(this::matches);
  }

  /**
   * Whether these are the images that a client wants (strong comparison).
   *
   * @param wanted the values of the headers {@code If-Match}; none: any images
   */
  boolean isWanted(List<String> wanted) {
    return wanted.isEmpty() || tags(wanted).anyMatch(this::matches);
  }

  private boolean matches(String tag) {
    return tag.equals("*") || tag.equals(text);
  }

  private static Stream<String> tags(List<String> headers) {
    return headers.stream().flatMap(tags -> Stream.of(tags.split(","))).map(String::strip);
  }
}
