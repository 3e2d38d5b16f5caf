package dev.dcgan.e2e;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.List;

/** The colours of Grafana's dark theme, by its names, and how text is set. */
final class Colors {

  static final Color PAGE = new Color(0x111217);
  static final Color PANEL = new Color(0x181B1F);
  static final Color BORDER = new Color(0x2A2D33);
  static final Color GRID = new Color(0x2E3138);
  static final Color TEXT = new Color(0xD8D9DA);
  static final Color FAINT = new Color(0x8E9096);

  private static final List<String> PALETTE =
      List.of(
          "green",
          "yellow",
          "blue",
          "orange",
          "red",
          "purple",
          "light-blue",
          "dark-green",
          "light-orange",
          "light-purple");

  private Colors() {}

  static Color palette(int i) {
    return named(PALETTE.get(i % PALETTE.size()));
  }

  static Color named(String name) {
    return switch (name) {
      case "green" -> new Color(0x73BF69);
      case "dark-green" -> new Color(0x37872D);
      case "yellow" -> new Color(0xFADE2A);
      case "light-yellow" -> new Color(0xFFEE52);
      case "orange" -> new Color(0xFF9830);
      case "dark-orange" -> new Color(0xFA6400);
      case "light-orange" -> new Color(0xFFB357);
      case "red" -> new Color(0xF2495C);
      case "light-red" -> new Color(0xFF7383);
      case "dark-red" -> new Color(0xC4162A);
      case "blue" -> new Color(0x5794F2);
      case "light-blue" -> new Color(0x8AB8FF);
      case "purple" -> new Color(0xB877D9);
      case "light-purple" -> new Color(0xCA95E5);
      case "text" -> TEXT;
      case "transparent" -> PANEL;
      default -> Color.decode(name);
    };
  }

  /** That of the last threshold that the value reaches. */
  static Color threshold(JsonObject defaults, double value) {
    Color color = TEXT;
    for (JsonElement element : defaults.getAsJsonObject("thresholds").getAsJsonArray("steps")) {
      JsonElement from = element.getAsJsonObject().get("value");
      if (from.isJsonNull() || value >= from.getAsDouble()) {
        color = named(element.getAsJsonObject().get("color").getAsString());
      }
    }
    return color;
  }

  static Color faded(Color color, int alpha) {
    return new Color(color.getRed(), color.getGreen(), color.getBlue(), alpha);
  }

  /** Returns its width. */
  static int text(Graphics2D g, String text, int x, int y, int size, int style, Color color) {
    g.setFont(new Font(Font.SANS_SERIF, style, size));
    g.setColor(color);
    g.drawString(text, x, y);
    return g.getFontMetrics().stringWidth(text);
  }

  static int width(Graphics2D g, String text, int size, int style) {
    return g.getFontMetrics(new Font(Font.SANS_SERIF, style, size)).stringWidth(text);
  }
}
