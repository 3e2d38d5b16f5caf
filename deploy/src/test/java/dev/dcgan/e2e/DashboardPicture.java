package dev.dcgan.e2e;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.deploy.Dashboard.Place;
import dev.dcgan.deploy.Dashboard.Target;
import dev.dcgan.e2e.Prometheus.Point;
import dev.dcgan.e2e.Prometheus.Series;
import dev.dcgan.e2e.Prometheus.Span;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.GraphicsEnvironment;
import java.awt.Rectangle;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Draws a dashboard's panels, where its grid has them, from what its queries give. No screenshot of
 * Grafana, and the picture says so.
 */
final class DashboardPicture {

  /** Asks Prometheus. */
  interface Queries {
    List<Series> ask(String expression) throws IOException, InterruptedException;
  }

  /**
   * A line, row or figure of a panel.
   *
   * @param name what its legend makes of its labels
   * @param dashed whether it is drawn so
   */
  record Line(String name, Series series, Color color, boolean dashed) {}

  /** Something that happened, in Unix seconds. */
  record Event(double time, Color color) {}

  private static final int COLUMN = 58;
  private static final int ROW = 25;
  private static final int GAP = 6;
  private static final int HEAD = 62;

  private final Graphics2D g;
  private final Dashboard dashboard;
  private final Queries queries;
  private final Span span;
  private final List<Event> events = new ArrayList<>();

  private DashboardPicture(Graphics2D g, Dashboard dashboard, Queries queries, Span span) {
    this.g = g;
    this.dashboard = dashboard;
    this.queries = queries;
    this.span = span;
  }

  /** Whether text can be drawn on this machine. */
  static boolean hasFonts() {
    try {
      return GraphicsEnvironment.getLocalGraphicsEnvironment().getAvailableFontFamilyNames().length
          > 0;
    } catch (RuntimeException | Error e) { // The JDK's, without fontconfig: of several kinds.
      return false;
    }
  }

  static void draw(Dashboard dashboard, Queries queries, Span span, Path file)
      throws IOException, InterruptedException {
    int rows =
        dashboard.everything().stream()
            .map(Panel::place)
            .mapToInt(place -> place.y() + place.h())
            .max()
            .orElseThrow();
    BufferedImage image =
        new BufferedImage(
            24 * COLUMN + 2 * GAP, HEAD + rows * ROW + 2 * GAP, BufferedImage.TYPE_INT_RGB);
    Graphics2D g = image.createGraphics();
    g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    g.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    g.setColor(Colors.PAGE);
    g.fillRect(0, 0, image.getWidth(), image.getHeight());
    new DashboardPicture(g, dashboard, queries, span).drawAll();
    g.dispose();
    Png.write(image, file);
  }

  private void drawAll() throws IOException, InterruptedException {
    for (JsonObject annotation : dashboard.annotations()) {
      Color color = Colors.named(annotation.get("iconColor").getAsString());
      for (Series series : queries.ask(annotation.get("expr").getAsString())) {
        double before = Double.NEGATIVE_INFINITY;
        for (Point point : series.points()) {
          if (point.time() - before > 1.5 * span.step()) { // Else it goes on.
            events.add(new Event(point.time(), color));
          }
          before = point.time();
        }
      }
    }
    text(dashboard.title(), GAP + 6, 26, 17, Font.BOLD, Colors.TEXT);
    text(
        "Drawn by a test (WatchIT) from what this dashboard's queries gave in a real Prometheus, "
            + "%d minutes and %d seconds of both programs at work on one busy machine; not a screenshot of Grafana."
                .formatted(
                    (int) (span.end() - span.start()) / 60, (int) (span.end() - span.start()) % 60),
        GAP + 6,
        48,
        12,
        Font.PLAIN,
        Colors.FAINT);
    for (Panel panel : dashboard.everything()) {
      Place place = panel.place();
      Rectangle frame =
          new Rectangle(
              GAP + place.x() * COLUMN + GAP / 2,
              HEAD + place.y() * ROW + GAP / 2,
              place.w() * COLUMN - GAP,
              place.h() * ROW - GAP);
      if (panel.isHeading()) {
        text("⌄ " + panel.title(), frame.x + 2, frame.y + 16, 13, Font.BOLD, Colors.TEXT);
      } else {
        g.setColor(Colors.PANEL);
        g.fillRoundRect(frame.x, frame.y, frame.width, frame.height, 5, 5);
        g.setColor(Colors.BORDER);
        g.drawRoundRect(frame.x, frame.y, frame.width, frame.height, 5, 5);
        g.setClip(frame);
        text(panel.title(), frame.x + 8, frame.y + 16, 12, Font.BOLD, Colors.TEXT);
        drawInside(
            panel, new Rectangle(frame.x + 8, frame.y + 23, frame.width - 16, frame.height - 29));
        g.setClip(null);
      }
    }
  }

  private void drawInside(Panel panel, Rectangle area) throws IOException, InterruptedException {
    if (panel.type().equals("table")) {
      PanelTable.draw(this, panel, area, tables(panel));
      return;
    }
    List<Line> lines = lines(panel);
    PanelPlot plot = new PanelPlot(g, panel, area, span, events);
    switch (panel.type()) {
      case "timeseries" -> plot.timeSeries(lines);
      case "heatmap" -> plot.heatmap(lines);
      case "state-timeline" -> plot.states(lines);
      case "stat" -> plot.stat(lines);
      case "gauge" -> plot.gauge(lines);
      default -> throw new IllegalArgumentException("no drawing of " + panel.type() + " yet");
    }
  }

  private List<List<Series>> tables(Panel panel) throws IOException, InterruptedException {
    List<List<Series>> tables = new ArrayList<>();
    for (Target target : panel.targets()) {
      tables.add(shown(target));
    }
    return tables;
  }

  /** Of an instant query what there is in the end. */
  private List<Series> shown(Target target) throws IOException, InterruptedException {
    List<Series> found = queries.ask(target.expression());
    if (!target.json().get("instant").getAsBoolean()) {
      return found;
    }
    return found.stream()
        .filter(
            series ->
                series.points().get(series.points().size() - 1).time() > span.end() - span.step())
        .toList();
  }

  private List<Line> lines(Panel panel) throws IOException, InterruptedException {
    List<Line> lines = new ArrayList<>();
    for (Target target : panel.targets()) {
      for (Series series : shown(target)) {
        String name = target.legend();
        for (Map.Entry<String, String> label : series.labels().entrySet()) {
          name = name.replace("{{" + label.getKey() + "}}", label.getValue());
        }
        name = name.replaceAll("\\{\\{\\w+}}", "").strip();
        Optional<JsonObject> override = override(panel, name);
        Color color = Colors.palette(lines.size());
        boolean dashed = false;
        if (override.isPresent()) {
          for (JsonElement property : override.get().getAsJsonArray("properties")) {
            JsonObject one = property.getAsJsonObject();
            switch (one.get("id").getAsString()) {
              case "color" ->
                  color =
                      Colors.named(one.getAsJsonObject("value").get("fixedColor").getAsString());
              case "custom.lineStyle" -> dashed = true;
              default -> {}
            }
          }
        }
        lines.add(new Line(name, series, color, dashed));
      }
    }
    return lines;
  }

  private static Optional<JsonObject> override(Panel panel, String name) {
    for (JsonElement element :
        panel.json().getAsJsonObject("fieldConfig").getAsJsonArray("overrides")) {
      JsonObject matcher = element.getAsJsonObject().getAsJsonObject("matcher");
      String options = matcher.get("options").getAsString();
      boolean matches =
          switch (matcher.get("id").getAsString()) {
            case "byName" -> name.equals(options);
            case "byRegexp" -> name.matches(options);
            default -> false;
          };
      if (matches) {
        return Optional.of(element.getAsJsonObject());
      }
    }
    return Optional.empty();
  }

  int text(String text, int x, int y, int size, int style, Color color) {
    return Colors.text(g, text, x, y, size, style, color);
  }
}
