package dev.dcgan.deploy;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A dashboard as Grafana stores it.
 *
 * @param json the whole file
 */
public record Dashboard(JsonObject json) {

  private static final Path FOLDER = Path.of("grafana/dashboards");

  /**
   * A rectangle of the grid, which is 24 columns wide.
   *
   * @param x the left edge
   * @param y the upper edge
   */
  public record Place(int x, int y, int w, int h) {

    boolean overlaps(Place other) {
      return x < other.x + other.w && other.x < x + w && y < other.y + other.h && other.y < y + h;
    }
  }

  /** A panel, or the heading of a row. */
  public record Panel(JsonObject json) {

    public String type() {
      return string(json, "type");
    }

    public boolean isHeading() {
      return type().equals("row");
    }

    public String title() {
      return string(json, "title");
    }

    public Place place() {
      JsonObject place = json.getAsJsonObject("gridPos");
      return new Place(
          place.get("x").getAsInt(),
          place.get("y").getAsInt(),
          place.get("w").getAsInt(),
          place.get("h").getAsInt());
    }

    /** The defaults of its fields: unit, colors, thresholds ... */
    public JsonObject defaults() {
      return json.getAsJsonObject("fieldConfig").getAsJsonObject("defaults");
    }

    public List<Target> targets() {
      return objects(json, "targets").map(Target::new).toList();
    }
  }

  /** A query of a panel. */
  public record Target(JsonObject json) {

    public String refId() {
      return string(json, "refId");
    }

    public String expression() {
      return string(json, "expr");
    }

    /** The legend of a series, with labels as {@code {{label}}}. */
    public String legend() {
      return string(json, "legendFormat");
    }
  }

  /** All dashboards of the folder, by name. */
  public static List<Dashboard> all() throws IOException {
    try (Stream<Path> files = Files.list(FOLDER)) {
      return files.sorted().map(Dashboard::read).toList();
    }
  }

  private static Dashboard read(Path file) {
    try {
      return new Dashboard(JsonParser.parseString(Files.readString(file)).getAsJsonObject());
    } catch (IOException | RuntimeException e) {
      throw new IllegalStateException(file + ": " + e.getMessage(), e);
    }
  }

  public String title() {
    return string(json, "title");
  }

  /** The last part of the address of the dashboard. */
  public String uid() {
    return string(json, "uid");
  }

  /** Headings and panels in the order of the file. */
  public List<Panel> everything() {
    return objects(json, "panels").map(Panel::new).toList();
  }

  /** The panels without the headings. */
  public List<Panel> panels() {
    return everything().stream().filter(panel -> !panel.isHeading()).toList();
  }

  /** The template variables that query Prometheus, in order: each may use those before it. */
  public List<JsonObject> variables() {
    return objects(json.getAsJsonObject("templating"), "list")
        .filter(variable -> string(variable, "type").equals("query"))
        .toList();
  }

  /** The annotations that query Prometheus. */
  public List<JsonObject> annotations() {
    return objects(json.getAsJsonObject("annotations"), "list")
        .filter(annotation -> annotation.has("expr"))
        .toList();
  }

  @Override
  public String toString() {
    return uid();
  }

  static Stream<JsonObject> objects(JsonObject of, String name) {
    return StreamSupport.stream(of.getAsJsonArray(name).spliterator(), false)
        .map(JsonElement::getAsJsonObject);
  }

  static String string(JsonObject of, String name) {
    JsonElement value = of.get(name);
    if (value == null) {
      throw new IllegalStateException("no " + name + " in " + of);
    }
    return value.getAsString();
  }
}
