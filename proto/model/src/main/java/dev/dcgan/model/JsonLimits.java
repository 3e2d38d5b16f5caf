package dev.dcgan.model;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Bounds a JSON file before it is parsed: a parser needs many bytes of memory for a value, a stack
 * frame for a level, and for a number time that grows with its exponent.
 */
final class JsonLimits {

  private static final int MAX_VALUES = 200_000;
  private static final int MAX_DEPTH = 50;
  // -1.7976931348623157E308 has 23.
  private static final int MAX_NUMBER = 32;
  private static final int MAX_EXPONENT_DIGITS = 3;

  private final Path file;
  private final byte[] json;

  // Mutable state
  private int at;

  private JsonLimits(Path file, byte[] json) {
    this.file = file;
    this.json = json;
  }

  /**
   * Requires that a file is bounded; it need not be JSON.
   *
   * @throws InvalidModelException if it has too many values, is nested too deeply, or has a number
   *     with too many digits
   */
  static void require(Path file, byte[] json) throws InvalidModelException {
    new JsonLimits(file, json).scan();
  }

  private void scan() throws InvalidModelException {
    int values = 1;
    int depth = 0;
    while (at < json.length) {
      int token = at;
      switch (json[at]) {
        case '"', '\'' -> {
          skipText(json[at]);
          requireNumber(token + 1, at - 1); // 64-bit numbers are texts in the JSON of protobuf.
        }
        case '{', '[' -> {
          values++;
          depth++;
          at++;
        }
        case '}', ']' -> {
          depth--;
          at++;
        }
        case ',', ';' -> {
          values++;
          at++;
        }
        default -> {
          at++;
          if (isOfNumber(json[token])) {
            while (at < json.length && isOfNumber(json[at])) {
              at++;
            }
            requireNumber(token, at);
          }
        }
      }
      if (values > MAX_VALUES) {
        throw refused("more than %d values".formatted(MAX_VALUES));
      }
      if (depth > MAX_DEPTH) {
        throw refused("values nested more than %d levels deep".formatted(MAX_DEPTH));
      }
    }
  }

  private void skipText(byte quote) {
    at++;
    while (at < json.length && json[at] != quote) {
      at += json[at] == '\\' ? 2 : 1;
    }
    at = Math.min(at + 1, json.length);
  }

  /** Checks the bytes from {@code begin} to {@code end} if they are a number and nothing else. */
  private void requireNumber(int begin, int end) throws InvalidModelException {
    int exponentDigits = -1;
    boolean digits = false;
    for (int i = begin; i < end; i++) {
      byte c = json[i];
      if (c == 'e' || c == 'E') {
        exponentDigits = 0;
      } else if (c >= '0' && c <= '9') {
        digits = true;
        exponentDigits += exponentDigits < 0 ? 0 : 1;
      } else if (!isOfNumber(c)) {
        return;
      }
    }
    if (digits && (end - begin > MAX_NUMBER || exponentDigits > MAX_EXPONENT_DIGITS)) {
      String shown =
          new String(json, begin, Math.min(end - begin, MAX_NUMBER), StandardCharsets.ISO_8859_1);
      throw refused("the number %s%s".formatted(shown, end - begin > MAX_NUMBER ? "..." : ""));
    }
  }

  private static boolean isOfNumber(byte c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
  }

  private InvalidModelException refused(String found) {
    return new InvalidModelException(
        "%s has %s; expected a model manifest as the trainer writes it".formatted(file, found));
  }
}
