package dev.dcgan.model;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Bounds JSON before it is parsed: a parser needs many bytes of memory for a value, a stack frame
 * for a level, and for a number time that grows with its exponent.
 *
 * <p>Gson, with which protobuf parses, also reads comments, other quotes and texts without quotes.
 * They are refused here, because a quote in them would hide what follows it.
 */
public final class JsonLimits {

  private static final int MAX_VALUES = 200_000;
  private static final int MAX_DEPTH = 50;
  // -1.7976931348623157E308 has 23.
  private static final int MAX_NUMBER = 32;
  private static final int MAX_EXPONENT_DIGITS = 3;
  private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};
  private static final Pattern ESCAPE = Pattern.compile("\\\\u([0-9a-fA-F]{4})");

  private final byte[] json;

  // Mutable state
  private int at;
  private int values = 1;
  private int depth;

  private JsonLimits(byte[] json) {
    this.json = json;
  }

  /**
   * What exceeds the limits, for example {@code more than 200000 values}; empty: nothing, but it
   * need not be valid JSON.
   *
   * @param json in UTF-8
   */
  public static Optional<String> problem(byte[] json) {
    return Optional.ofNullable(new JsonLimits(json).scan());
  }

  private @Nullable String scan() {
    int mark = BYTE_ORDER_MARK.length;
    if (json.length >= mark && Arrays.equals(json, 0, mark, BYTE_ORDER_MARK, 0, mark)) {
      at = mark;
    }
    while (at < json.length) {
      String problem = token();
      if (problem != null) {
        return problem;
      }
      if (values > MAX_VALUES) {
        return "more than %d values".formatted(MAX_VALUES);
      }
      if (depth > MAX_DEPTH) {
        return "values nested more than %d levels deep".formatted(MAX_DEPTH);
      }
    }
    return null;
  }

  private @Nullable String token() {
    int begin = at++;
    switch (json[begin]) {
      case ' ', '\t', '\r', '\n', ':' -> {}
      case '{', '[' -> {
        values++;
        depth++;
      }
      case '}', ']' -> depth--;
      case ',' -> values++;
      case '"' -> {
        skipText();
        return number(begin + 1, at - 1); // 64-bit numbers are texts in the JSON of protobuf.
      }
      default -> {
        if (!isOfWord(json[begin])) {
          return misplaced(begin);
        }
        while (at < json.length && isOfWord(json[at])) {
          at++;
        }
        // For Gson a quote within a word is a part of the word.
        return at < json.length && json[at] == '"' ? misplaced(at) : number(begin, at);
      }
    }
    return null;
  }

  private void skipText() {
    while (at < json.length && json[at] != '"') {
      at += json[at] == '\\' ? 2 : 1;
    }
    at = Math.min(at + 1, json.length);
  }

  private String misplaced(int index) {
    int found = json[index] & 0xFF;
    return found > ' ' && found < 0x7F
        ? "a misplaced %c".formatted(found)
        : "a misplaced byte 0x%02X".formatted(found);
  }

  /** Checks the bytes from {@code begin} to {@code end} if they are a number and nothing else. */
  private @Nullable String number(int begin, int end) {
    boolean plain = true;
    for (int i = begin; i < end; i++) {
      if (json[i] == '\\' || json[i] < 0) {
        plain = false;
      } else if (plain && !isOfNumber(json[i])) {
        return null;
      }
    }
    String text = new String(json, begin, Math.max(0, end - begin), StandardCharsets.UTF_8);
    return number(plain ? text : unescaped(text));
  }

  /** The text with what was escaped, for example a digit as {@code u0031} after a backslash. */
  private static String unescaped(String text) {
    return ESCAPE
        .matcher(text)
        .replaceAll(
            escape ->
                Matcher.quoteReplacement(
                    Character.toString((char) Integer.parseInt(escape.group(1), 16))));
  }

  private static @Nullable String number(String text) {
    if (!text.chars().allMatch(JsonLimits::isOfNumber)) {
      return null;
    }
    int exponent = Math.max(text.indexOf('e'), text.indexOf('E'));
    long exponentDigits =
        exponent < 0 ? 0 : text.substring(exponent).chars().filter(Character::isDigit).count();
    boolean isLong = text.length() > MAX_NUMBER;
    return text.chars().anyMatch(Character::isDigit)
            && (isLong || exponentDigits > MAX_EXPONENT_DIGITS)
        ? "the number " + (isLong ? text.substring(0, MAX_NUMBER) + "..." : text)
        : null;
  }

  /** BigDecimal, which protobuf parses numbers with, takes the digits of all scripts. */
  private static boolean isOfNumber(int c) {
    return Character.isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
  }

  private static boolean isOfWord(byte c) {
    return (c >= 0 && isOfNumber(c))
        || (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || c == '_';
  }
}
