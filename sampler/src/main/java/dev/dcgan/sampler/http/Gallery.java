package dev.dcgan.sampler.http;

import dev.dcgan.server.HttpPage;
import dev.dcgan.server.StaticAsset;
import java.util.Map;

/** The gallery: a page that shows the images of a seed. Its files lie beside this class. */
public final class Gallery {

  private Gallery() {}

  /** The files by path; the page itself is {@code /}. */
  public static Map<String, HttpPage> assets() {
    return StaticAsset.all(
        Gallery.class,
        "index.html",
        "gallery.css",
        "gallery.js",
        "server.js",
        "address.js",
        "calls.js",
        "page.js",
        "selection.js",
        "viewer.js",
        "icon.svg");
  }
}
