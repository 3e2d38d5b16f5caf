package dev.dcgan.e2e;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.dcgan.deploy.Dashboard.Panel;
import dev.dcgan.e2e.Prometheus.Series;
import java.awt.Font;
import java.awt.Rectangle;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A panel's table: a row for each set of labels, its columns as the panel orders and names them.
 */
final class PanelTable {

  private static final int LINE = 15;

  private PanelTable() {}

  static void draw(
      DashboardPicture picture, Panel panel, Rectangle area, List<List<Series>> tables) {
    Map<String, String> columns = columns(panel);
    Map<String, Map<String, String>> rows = new TreeMap<>();
    for (int i = 0; i < tables.size(); i++) {
      String value = tables.size() == 1 ? "Value" : "Value #" + (char) ('A' + i);
      for (Series series : tables.get(i)) {
        Map<String, String> row =
            rows.computeIfAbsent(
                series.labels().toString(), labels -> new LinkedHashMap<>(series.labels()));
        row.put(value, Units.format(series.last(), "none", -1));
      }
    }
    List<Integer> lefts = lefts(area, columns.size());
    int y = area.y + LINE - 3;
    int column = 0;
    for (String title : columns.values()) {
      picture.text(title, lefts.get(column++), y, 11, Font.BOLD, Colors.named("blue"));
    }
    for (Map<String, String> row : rows.values()) {
      y += LINE;
      column = 0;
      for (String key : columns.keySet()) {
        String cell = row.getOrDefault(key, "");
        String fits = cell.length() > 26 ? cell.substring(0, 24) + "…" : cell;
        picture.text(fits, lefts.get(column++), y, 11, Font.PLAIN, Colors.TEXT);
      }
    }
  }

  /** What is shown, in order, and its title. */
  private static Map<String, String> columns(Panel panel) {
    Map<String, String> columns = new LinkedHashMap<>();
    for (JsonElement transformation : panel.json().getAsJsonArray("transformations")) {
      if (transformation.getAsJsonObject().get("id").getAsString().equals("organize")) {
        JsonObject options = transformation.getAsJsonObject().getAsJsonObject("options");
        JsonObject names = options.getAsJsonObject("renameByName");
        for (String key : options.getAsJsonObject("indexByName").keySet()) {
          columns.put(key, names.get(key).getAsString());
        }
      }
    }
    return columns;
  }

  private static List<Integer> lefts(Rectangle area, int columns) {
    List<Integer> lefts = new ArrayList<>();
    for (int i = 0; i < columns; i++) {
      lefts.add(area.x + i * area.width / columns);
    }
    return lefts;
  }
}
