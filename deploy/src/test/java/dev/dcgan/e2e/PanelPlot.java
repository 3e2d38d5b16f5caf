package dev.dcgan.e2e;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.e2e.DashboardPicture.Event;
import dev.dcgan.e2e.DashboardPicture.Line;
import dev.dcgan.e2e.Prometheus.Point;
import dev.dcgan.e2e.Prometheus.Series;
import dev.dcgan.e2e.Prometheus.Span;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.Rectangle;
import java.awt.geom.Arc2D;
import java.awt.geom.Line2D;
import java.awt.geom.Path2D;
import java.awt.geom.Rectangle2D;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Draws one panel's lines into an area, in each of the ways that the dashboards use. */
final class PanelPlot {

  private static final DateTimeFormatter CLOCK =
      DateTimeFormatter.ofPattern("HH:mm:ss").withZone(ZoneOffset.UTC);
  private static final int LEGEND = 15;
  private static final int AXIS = 15;

  private final Graphics2D g;
  private final Panel panel;
  private final Rectangle area;
  private final Span span;
  private final List<Event> events;
  private final String unit;
  private final int decimals;
  private final JsonObject custom;

  PanelPlot(Graphics2D g, Panel panel, Rectangle area, Span span, List<Event> events) {
    this.g = g;
    this.panel = panel;
    this.area = area;
    this.span = span;
    this.events = events;
    unit = panel.defaults().get("unit").getAsString();
    decimals = panel.defaults().has("decimals") ? panel.defaults().get("decimals").getAsInt() : -1;
    custom =
        panel.defaults().has("custom")
            ? panel.defaults().getAsJsonObject("custom")
            : new JsonObject();
  }

  // --- time series ---

  void timeSeries(List<Line> lines) {
    boolean stacked = text(custom.getAsJsonObject("stacking"), "mode").equals("normal");
    boolean bars = text(custom, "drawStyle").equals("bars");
    boolean log = text(custom.getAsJsonObject("scaleDistribution"), "type").equals("log");
    int legendLines = legend(lines);
    List<double[]> tops = new ArrayList<>();
    double[] sum = new double[instants()];
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (Line line : lines) {
      double[] values = onGrid(line.series());
      for (int i = 0; i < values.length; i++) {
        if (stacked) {
          sum[i] += Double.isFinite(values[i]) ? values[i] : 0;
          values[i] = sum[i]; // Where it has no value it adds none.
        }
        if (Double.isFinite(values[i]) && !(log && values[i] <= 0)) {
          low = Math.min(low, values[i]);
          high = Math.max(high, values[i]);
        }
      }
      tops.add(values);
    }
    Scale scale = Scale.of(bound("min", low), bound("max", high), log, unit);
    Rectangle plot = axes(scale, legendLines);
    events(plot);
    thresholds(plot, scale);
    g.clip(new Rectangle(plot.x, plot.y - 2, plot.width + 1, plot.height + 3));
    for (int i = lines.size() - 1; i >= 0; i--) {
      Line line = lines.get(i);
      if (bars) {
        bars(plot, scale, tops.get(i), line.color());
      } else {
        double @Nullable [] under =
            stacked ? i > 0 ? tops.get(i - 1) : new double[instants()] : null;
        curve(plot, scale, tops.get(i), under, line);
      }
    }
  }

  private double bound(String name, double found) {
    if (!panel.defaults().has(name)) {
      return found;
    }
    double set = panel.defaults().get(name).getAsDouble();
    return name.equals("min") ? Math.min(set, found) : set;
  }

  private void curve(
      Rectangle plot, Scale scale, double[] values, double @Nullable [] under, Line line) {
    boolean stepped = text(custom, "lineInterpolation").equals("stepAfter");
    g.setStroke(
        line.dashed()
            ? new BasicStroke(
                1.4f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {5, 4}, 0)
            : new BasicStroke(
                under == null ? 1.6f : 1.1f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    int alpha = under != null ? 80 : line.dashed() ? 0 : 14;
    for (int from = 0; from < values.length; from++) {
      if (!Double.isFinite(values[from])) {
        continue;
      }
      Path2D.Double path = new Path2D.Double();
      path.moveTo(x(plot, from), scale.y(plot, values[from]));
      path.lineTo(x(plot, from) + 0.5, scale.y(plot, values[from])); // A lone point is seen, too.
      int end = from + 1;
      for (; end < values.length && Double.isFinite(values[end]); end++) {
        if (stepped) {
          path.lineTo(x(plot, end), scale.y(plot, values[end - 1]));
        }
        path.lineTo(x(plot, end), scale.y(plot, values[end]));
      }
      Path2D.Double filled = new Path2D.Double(path);
      for (int i = end - 1; i >= from; i--) {
        double bottom = under == null ? plot.y + plot.height : scale.y(plot, under[i]);
        filled.lineTo(x(plot, i), bottom);
      }
      filled.closePath();
      g.setColor(Colors.faded(line.color(), alpha));
      g.fill(filled);
      g.setColor(line.color());
      g.draw(path);
      from = end;
    }
    g.setStroke(new BasicStroke(1));
  }

  private void bars(Rectangle plot, Scale scale, double[] values, Color color) {
    double width = Math.max(2, 0.8 * plot.width / Math.max(1, values.length));
    g.setColor(Colors.faded(color, 210));
    for (int i = 0; i < values.length; i++) {
      if (Double.isFinite(values[i]) && values[i] > 0) {
        double y = scale.y(plot, values[i]);
        g.fill(new Rectangle2D.Double(x(plot, i) - width / 2, y, width, plot.y + plot.height - y));
      }
    }
  }

  private void events(Rectangle plot) {
    g.setStroke(
        new BasicStroke(1, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 1, new float[] {3, 3}, 0));
    for (Event event : events) {
      double x = plot.x + plot.width * (event.time() - span.start()) / (span.end() - span.start());
      g.setColor(Colors.faded(event.color(), 170));
      g.draw(new Line2D.Double(x, plot.y, x, plot.y + plot.height));
      g.fill(new Rectangle2D.Double(x - 2.5, plot.y + plot.height - 1, 5, 4));
    }
    g.setStroke(new BasicStroke(1));
  }

  private void thresholds(Rectangle plot, Scale scale) {
    if (text(custom.getAsJsonObject("thresholdsStyle"), "mode").equals("off")) {
      return;
    }
    g.setStroke(
        new BasicStroke(
            1.2f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 1, new float[] {7, 5}, 0));
    for (JsonElement element :
        panel.defaults().getAsJsonObject("thresholds").getAsJsonArray("steps")) {
      JsonElement value = element.getAsJsonObject().get("value");
      if (!value.isJsonNull()) {
        Color color = Colors.named(element.getAsJsonObject().get("color").getAsString());
        g.setColor(color.equals(Colors.PANEL) ? Colors.named("red") : color);
        double y = scale.y(plot, value.getAsDouble());
        g.draw(new Line2D.Double(plot.x, y, plot.x + plot.width, y));
      }
    }
    g.setStroke(new BasicStroke(1));
  }

  /** Names and last figures under the plot; returns how many lines they take. */
  private int legend(List<Line> lines) {
    int most = area.height > 150 ? 3 : 2;
    List<List<String>> rows = new ArrayList<>();
    List<List<Color>> colors = new ArrayList<>();
    int x = area.width + 1;
    for (Line line : lines) {
      String entry = line.name() + "  " + Units.format(line.series().last(), unit, decimals);
      int width = Colors.width(g, entry, 10, Font.PLAIN) + 26;
      if (x + width > area.width) {
        if (rows.size() == most) {
          rows.get(most - 1).add("…");
          colors.get(most - 1).add(Colors.PANEL);
          break;
        }
        rows.add(new ArrayList<>());
        colors.add(new ArrayList<>());
        x = 0;
      }
      rows.get(rows.size() - 1).add(entry);
      colors.get(colors.size() - 1).add(line.color());
      x += width;
    }
    int y = area.y + area.height - (rows.size() - 1) * LEGEND - 2;
    for (int row = 0; row < rows.size(); row++, y += LEGEND) {
      int at = area.x;
      for (int i = 0; i < rows.get(row).size(); i++) {
        g.setColor(colors.get(row).get(i));
        g.fillRoundRect(at, y - 5, 12, 3, 2, 2);
        at +=
            16 + Colors.text(g, rows.get(row).get(i), at + 16, y, 10, Font.PLAIN, Colors.TEXT) + 10;
      }
    }
    return rows.size();
  }

  /** Grid and labels; returns where the lines go. */
  private Rectangle axes(Scale scale, int legendLines) {
    int width =
        scale.ticks().stream()
            .mapToInt(tick -> Colors.width(g, tickText(tick), 10, Font.PLAIN))
            .max()
            .orElse(0);
    Rectangle plot = plot(width + 8, legendLines);
    for (double tick : scale.ticks()) {
      int y = (int) Math.round(scale.y(plot, tick));
      g.setColor(Colors.GRID);
      g.drawLine(plot.x, y, plot.x + plot.width, y);
      String text = tickText(tick);
      Colors.text(
          g,
          text,
          plot.x - 6 - Colors.width(g, text, 10, Font.PLAIN),
          y + 4,
          10,
          Font.PLAIN,
          Colors.FAINT);
    }
    clock(plot);
    return plot;
  }

  private Rectangle plot(int left, int legendLines) {
    return new Rectangle(
        area.x + left,
        area.y + 4,
        area.width - left - 4,
        area.height - 8 - AXIS - legendLines * LEGEND);
  }

  private void clock(Rectangle plot) {
    double length = span.end() - span.start();
    double every = length > 400 ? 120 : length > 150 ? 60 : length > 60 ? 20 : 10;
    if (plot.width < 300) {
      every *= 2;
    }
    for (double time = Math.ceil(span.start() / every) * every; time < span.end(); time += every) {
      int x = (int) (plot.x + plot.width * (time - span.start()) / length);
      g.setColor(Colors.GRID);
      g.drawLine(x, plot.y, x, plot.y + plot.height);
      String text = CLOCK.format(Instant.ofEpochSecond((long) time));
      int width = Colors.width(g, text, 10, Font.PLAIN);
      if (x - width / 2 >= plot.x - 2 && x + width / 2 <= plot.x + plot.width) {
        Colors.text(
            g, text, x - width / 2, plot.y + plot.height + 12, 10, Font.PLAIN, Colors.FAINT);
      }
    }
  }

  private String tickText(double tick) {
    return Units.format(tick, unit, -1);
  }

  // --- heatmap ---

  /** The lines are a classic histogram's buckets, each with those below in it. */
  void heatmap(List<Line> buckets) {
    List<Line> rising = new ArrayList<>(buckets);
    rising.sort(Comparator.comparingDouble(PanelPlot::bound));
    List<double[]> counts = new ArrayList<>();
    double[] below = new double[instants()];
    double most = 0;
    int first = rising.size();
    int last = 0;
    for (int row = 0; row < rising.size(); row++) {
      double[] values = onGrid(rising.get(row).series());
      double[] count = new double[values.length];
      for (int i = 0; i < values.length; i++) {
        double value = Double.isFinite(values[i]) ? values[i] : 0;
        count[i] = Math.max(0, value - below[i]);
        below[i] = value;
        most = Math.max(most, count[i]);
        if (count[i] > 1e-9) {
          first = Math.min(first, row);
          last = Math.max(last, row);
        }
      }
      counts.add(count);
    }
    first = Math.max(0, first - 1);
    last = Math.min(rising.size() - 1, last + 1);
    int rows = last - first + 1;
    Rectangle plot = plot(52, 0);
    clock(plot);
    double height = (double) plot.height / Math.max(1, rows);
    double width = (double) plot.width / Math.max(1, instants());
    for (int row = first; row <= last; row++) {
      double y = plot.y + plot.height - (row - first + 1) * height;
      double[] count = counts.get(row);
      for (int i = 0; i < count.length; i++) {
        if (count[i] > 1e-9) {
          g.setColor(heat(Math.sqrt(count[i] / most)));
          g.fill(
              new Rectangle2D.Double(
                  plot.x + i * width, y, Math.max(1, width - 0.5), height - 0.7));
        }
      }
      double bound = bound(rising.get(row));
      String text =
          Double.isInfinite(bound)
              ? "+Inf"
              : Units.format(bound, unit.startsWith("suffix") ? "none" : unit, -1);
      Colors.text(
          g,
          text,
          plot.x - 6 - Colors.width(g, text, 10, Font.PLAIN),
          (int) (y + 4),
          10,
          Font.PLAIN,
          Colors.FAINT);
    }
  }

  private static double bound(Line bucket) {
    return bucket.name().equals("+Inf")
        ? Double.POSITIVE_INFINITY
        : Double.parseDouble(bucket.name());
  }

  /** From dark blue through green to yellow and red, for 0 to 1. */
  private static Color heat(double share) {
    return Color.getHSBColor((float) (0.68 - 0.68 * share), 0.75f, (float) (0.45 + 0.5 * share));
  }

  // --- states ---

  void states(List<Line> rows) {
    Map<String, JsonObject> mappings = new HashMap<>();
    for (JsonElement mapping : panel.defaults().getAsJsonArray("mappings")) {
      JsonObject options = mapping.getAsJsonObject().getAsJsonObject("options");
      options.keySet().forEach(value -> mappings.put(value, options.getAsJsonObject(value)));
    }
    int left =
        rows.stream().mapToInt(row -> Colors.width(g, row.name(), 10, Font.PLAIN)).max().orElse(0)
            + 8;
    Rectangle plot = plot(left, 1);
    clock(plot);
    double height = Math.min(34, (double) plot.height / Math.max(1, rows.size()));
    double width = (double) plot.width / Math.max(1, instants() - 1);
    for (int row = 0; row < rows.size(); row++) {
      double y = plot.y + row * height;
      Colors.text(
          g, rows.get(row).name(), area.x, (int) (y + height / 2 + 4), 10, Font.PLAIN, Colors.TEXT);
      double[] values = onGrid(rows.get(row).series());
      for (int from = 0; from < values.length; from++) {
        int end = from + 1;
        while (end < values.length && values[end] == values[from]) {
          end++;
        }
        if (Double.isFinite(values[from])) {
          JsonObject state = mappings.get(Units.format(values[from], "none", 0));
          double x = Math.max(plot.x, x(plot, from) - width / 2);
          double right = Math.min(plot.x + plot.width, x(plot, end - 1) + width / 2);
          g.setColor(
              state == null ? Colors.FAINT : Colors.faded(Colors.named(text(state, "color")), 180));
          g.fill(new Rectangle2D.Double(x, y + 2, right - x, height - 4));
          String text = state == null ? "?" : text(state, "text");
          if (Colors.width(g, text, 10, Font.BOLD) + 6 < right - x) {
            Colors.text(
                g, text, (int) x + 4, (int) (y + height / 2 + 4), 10, Font.BOLD, Color.WHITE);
          }
        }
        from = end - 1;
      }
    }
    int x = area.x;
    for (JsonObject state : mappings.values()) {
      g.setColor(Colors.named(text(state, "color")));
      g.fillRoundRect(x, area.y + area.height - 7, 12, 3, 2, 2);
      x +=
          30
              + Colors.text(
                  g,
                  text(state, "text"),
                  x + 16,
                  area.y + area.height - 2,
                  10,
                  Font.PLAIN,
                  Colors.TEXT);
    }
  }

  // --- single figures ---

  void stat(List<Line> figures) {
    JsonObject options = panel.json().getAsJsonObject("options");
    String mode = text(options, "textMode");
    List<Line> shown =
        figures.stream().filter(line -> !Double.isNaN(line.series().last())).toList();
    if (text(options, "graphMode").equals("area") && !shown.isEmpty()) {
      sparkline(shown.get(0));
    }
    int height = area.height / Math.max(1, shown.size());
    for (int i = 0; i < shown.size(); i++) {
      Line line = shown.get(i);
      String value =
          mode.equals("name") ? line.name() : Units.format(line.series().last(), unit, decimals);
      int size = mode.equals("value_and_name") ? 16 : 30;
      while (size > 11 && Colors.width(g, value, size, Font.BOLD) > area.width - 4) {
        size--;
      }
      int middle = area.y + i * height + height / 2;
      if (mode.equals("value_and_name")) {
        boolean below = height > 34;
        int nameWidth = Colors.width(g, line.name() + "  ", 12, Font.PLAIN);
        int left =
            below
                ? centred(value, size)
                : area.x + (area.width - nameWidth - Colors.width(g, value, size, Font.BOLD)) / 2;
        Colors.text(
            g,
            line.name(),
            below ? centred(line.name(), 12) : left,
            middle + (below ? -6 : 5),
            12,
            Font.PLAIN,
            Colors.TEXT);
        Colors.text(
            g,
            value,
            below ? left : left + nameWidth,
            middle + (below ? 15 : 5),
            size,
            Font.BOLD,
            color(line));
      } else {
        Colors.text(
            g, value, centred(value, size), middle + size / 3, size, Font.BOLD, color(line));
      }
    }
  }

  private Color color(Line line) {
    JsonArray overrides = panel.json().getAsJsonObject("fieldConfig").getAsJsonArray("overrides");
    return overrides.isEmpty()
        ? Colors.threshold(panel.defaults(), line.series().last())
        : line.color();
  }

  private int centred(String text, int size) {
    return area.x + (area.width - Colors.width(g, text, size, Font.BOLD)) / 2;
  }

  private void sparkline(Line line) {
    double[] values = onGrid(line.series());
    double high = Arrays.stream(values).filter(Double::isFinite).max().orElse(1);
    Rectangle strip =
        new Rectangle(
            area.x - 8, area.y + area.height * 2 / 5, area.width + 16, area.height * 3 / 5 + 6);
    Scale scale = new Scale(0, high > 0 ? high : 1, false, List.of());
    double width = (double) strip.width / values.length;
    g.setColor(Colors.faded(Colors.threshold(panel.defaults(), line.series().last()), 45));
    for (int i = 0; i < values.length; i++) {
      if (Double.isFinite(values[i])) {
        double y = scale.y(strip, values[i]);
        g.fill(new Rectangle2D.Double(strip.x + i * width, y, width, strip.y + strip.height - y));
      }
    }
  }

  void gauge(List<Line> figures) {
    Line line = figures.get(figures.size() - 1);
    double low = panel.defaults().get("min").getAsDouble();
    double high = panel.defaults().get("max").getAsDouble();
    double share = Math.min(1, Math.max(0, (line.series().last() - low) / (high - low)));
    int size = Math.min(area.width, 2 * area.height) - 30;
    double x = area.x + (area.width - size) / 2.0;
    double y = area.y + 6;
    g.setStroke(new BasicStroke(13, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER));
    g.setColor(Colors.GRID);
    g.draw(new Arc2D.Double(x + 8, y + 8, size - 16, size - 16, 190, -200, Arc2D.OPEN));
    g.setColor(Colors.threshold(panel.defaults(), line.series().last()));
    g.draw(new Arc2D.Double(x + 8, y + 8, size - 16, size - 16, 190, -200 * share, Arc2D.OPEN));
    g.setStroke(new BasicStroke(1));
    String value = Units.format(line.series().last(), unit, decimals);
    Colors.text(
        g,
        value,
        centred(value, 22),
        area.y + area.height / 2 + 18,
        22,
        Font.BOLD,
        Colors.threshold(panel.defaults(), line.series().last()));
  }

  // --- what all need ---

  private int instants() {
    return (int) Math.floor((span.end() - span.start()) / span.step()) + 1;
  }

  private double x(Rectangle plot, int instant) {
    return plot.x + plot.width * instant * span.step() / (span.end() - span.start());
  }

  /** A value for each instant; NaN where there is none. */
  private double[] onGrid(Series series) {
    double[] values = new double[instants()];
    Arrays.fill(values, Double.NaN);
    for (Point point : series.points()) {
      int at = (int) Math.round((point.time() - span.start()) / span.step());
      if (at >= 0 && at < values.length) {
        values[at] = point.value();
      }
    }
    return values;
  }

  private static String text(JsonObject of, String name) {
    return of.get(name).getAsString();
  }

  /** From values to heights. */
  private record Scale(double low, double high, boolean log, List<Double> ticks) {

    static Scale of(double low, double high, boolean log, String unit) {
      if (!(low <= high)) {
        return new Scale(0, 1, false, List.of(0.0, 1.0)); // There is nothing to draw.
      }
      if (log) {
        double from = Math.pow(10, Math.floor(Math.log10(low)));
        double to = Math.pow(10, Math.ceil(Math.log10(high)));
        List<Double> ticks = new ArrayList<>();
        for (double tick = from; tick <= to * 1.001; tick *= 10) {
          ticks.add(tick);
        }
        return new Scale(from, Math.max(to, from * 10), true, ticks);
      }
      double range = high > low ? high - low : Math.max(1, Math.abs(high));
      double base =
          switch (unit) {
            case "bytes" -> Math.pow(1024, Math.floor(Math.log(range) / Math.log(1024)));
            case "s" -> range > 120 ? 60 : 1;
            default -> 1;
          };
      double power = base * Math.pow(10, Math.floor(Math.log10(range / 4 / base)));
      double part = range / 4 / power;
      double every = power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
      double from = Math.floor(low / every) * every;
      int count = (int) Math.ceil((Math.max(high, low + range) - from) / every - 1e-9);
      List<Double> ticks = new ArrayList<>();
      for (int i = 0; i <= count; i++) {
        ticks.add(from + i * every);
      }
      return new Scale(from, from + count * every, false, ticks);
    }

    double y(Rectangle plot, double value) {
      double share =
          log
              ? (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))
              : (value - low) / (high - low);
      return plot.y + plot.height * (1 - share);
    }
  }
}
