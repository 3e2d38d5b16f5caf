package dev.dcgan.server;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A file of the jar, for browsers. Thread-safe.
 *
 * <p>Browsers keep it, but ask whether it is still current (its {@code ETag}), so that the files of
 * one page always belong together. The Content-Security-Policy (W3C) forbids whatever does not come
 * from the same origin, and scripts and styles within HTML.
 */
public final class StaticAsset implements HttpPage {

  // Shared by the pages of both programs.
  private static final String STYLE = "dcgan.css";

  private static final String INDEX = "index.html";
  private static final String SECURITY_POLICY =
      "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
          + " frame-ancestors 'none'";
  private static final int TAG_DIGITS = 32;
  private static final Map<String, String> TYPES =
      Map.of(
          "html", "text/html; charset=utf-8",
          "css", "text/css; charset=utf-8",
          "js", "text/javascript; charset=utf-8",
          "svg", "image/svg+xml",
          "png", "image/png");

  private final byte[] content;
  private final String type;
  private final String tag;

  private StaticAsset(byte[] content, String type) {
    this.content = content;
    this.type = type;
    this.tag = '"' + sha256(content).substring(0, TAG_DIGITS) + '"';
  }

  /**
   * Reads a file.
   *
   * @param owner whose package has the file, unless its name begins with {@code /}
   * @throws IllegalArgumentException the jar has no such file, or its extension is unknown
   */
  public static StaticAsset of(Class<?> owner, String name) {
    String type = TYPES.get(name.substring(name.lastIndexOf('.') + 1));
    if (type == null) {
      throw new IllegalArgumentException("%s: expected one of %s".formatted(name, TYPES.keySet()));
    }
    try (InputStream in = owner.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalArgumentException("the jar of %s has no %s".formatted(owner, name));
      }
      return new StaticAsset(in.readAllBytes(), type);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads the files of a page: {@code index.html} at {@code /}, the others at {@code /NAME}, and
   * {@code /dcgan.css}, the style sheet that the pages of both programs share.
   *
   * @param owner whose package has the files
   * @return the assets by path
   */
  public static Map<String, HttpPage> all(Class<?> owner, String... names) {
    Map<String, HttpPage> assets = new TreeMap<>();
    assets.put("/" + STYLE, of(StaticAsset.class, STYLE));
    for (String name : names) {
      assets.put(name.equals(INDEX) ? "/" : "/" + name, of(owner, name));
    }
    return assets;
  }

  @Override
  public void serve(HttpCall call) throws IOException {
    call.header("ETag", tag);
    call.header("Cache-Control", "no-cache");
    call.header("Content-Security-Policy", SECURITY_POLICY);
    call.header("Referrer-Policy", "no-referrer");
    if (isKnown(call.headers("If-None-Match"))) {
      call.sendHeaders(304);
      return;
    }
    call.header("Content-Type", type);
    call.send(200, content);
  }

  /** Weak comparison (RFC 9110, 13.1.2). */
  private boolean isKnown(List<String> tags) {
    return tags.stream()
        .flatMap(list -> Stream.of(list.split(",")))
        .map(String::strip)
        .anyMatch(known -> known.equals("*") || known.equals(tag) || known.equals("W/" + tag));
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // Every JDK has it.
    }
  }
}
