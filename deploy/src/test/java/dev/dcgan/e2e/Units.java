package dev.dcgan.e2e;

import java.util.Locale;

/** Figures as Grafana writes them, in the units that the dashboards use. */
final class Units {

  private Units() {}

  /**
   * @param decimals below 0: as many as three figures need
   */
  static String format(double value, String unit, int decimals) {
    if (!Double.isFinite(value)) {
      return "–";
    }
    return switch (unit) {
      case "s" -> seconds(value);
      case "bytes" -> scaled(value, 1024, decimals, " B", " KiB", " MiB", " GiB");
      case "percentunit" -> plain(value * 100, decimals) + "%";
      case "reqps" -> plain(value, decimals) + " req/s";
      case "short" -> scaled(value, 1000, decimals, "", " K", " Mil");
      case "none" -> plain(value, decimals);
      default -> {
        if (!unit.startsWith("suffix:")) {
          throw new IllegalArgumentException("unit " + unit + ": add it here");
        }
        yield plain(value, decimals) + unit.substring("suffix:".length());
      }
    };
  }

  private static String seconds(double value) {
    double size = Math.abs(value);
    if (size == 0) {
      return "0 s";
    }
    if (size < 1e-3) {
      return plain(value * 1e6, -1) + " µs";
    }
    if (size < 1) {
      return plain(value * 1e3, -1) + " ms";
    }
    if (size < 120) {
      return plain(value, -1) + " s";
    }
    return size < 7200 ? plain(value / 60, -1) + " min" : plain(value / 3600, -1) + " h";
  }

  private static String scaled(double value, double base, int decimals, String... suffixes) {
    double scaled = value;
    int i = 0;
    for (; Math.abs(scaled) >= base && i < suffixes.length - 1; i++) {
      scaled /= base;
    }
    return plain(scaled, i == 0 ? decimals : -1) + suffixes[i];
  }

  private static String plain(double value, int decimals) {
    int digits = decimals;
    if (digits < 0) {
      double size = Math.abs(value);
      digits = size >= 100 || value == Math.rint(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
    }
    String text = String.format(Locale.ROOT, "%." + digits + "f", value);
    return text.matches("-0(\\.0*)?") ? text.substring(1) : text;
  }
}
