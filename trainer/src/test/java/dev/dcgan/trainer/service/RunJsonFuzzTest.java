package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import dev.dcgan.model.JsonLimits;
import dev.dcgan.v1.StartRunRequest;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a request in JSON, with all that Gson reads within the limits, or are refused. */
public class RunJsonFuzzTest {

  private static final int MAX_DEPTH = 50;
  // 32 characters and an exponent of three digits.
  private static final int MAX_SCALE = 999 + 32;

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/json"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void json_isBoundedAndReadOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] json) {
    if (JsonLimits.problem(json).isPresent()) {
      return;
    }
    try {
      requireBounded(JsonParser.parseString(new String(json, StandardCharsets.UTF_8)), 0);
      RunJson.read(json, StartRunRequest.newBuilder());
    } catch (JsonParseException | StatusRuntimeException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }

  private static void requireBounded(JsonElement element, int depth) {
    assertThat(depth).isLessThanOrEqualTo(MAX_DEPTH);
    if (element instanceof JsonObject object) {
      object
          .entrySet()
          .forEach(
              member -> {
                requireBounded(member.getKey());
                requireBounded(member.getValue(), depth + 1);
              });
    } else if (element instanceof JsonArray array) {
      array.forEach(value -> requireBounded(value, depth + 1));
    } else if (element.isJsonPrimitive()) {
      requireBounded(element.getAsString());
    }
  }

  private static void requireBounded(String text) {
    BigDecimal number;
    try {
      number = new BigDecimal(text);
    } catch (NumberFormatException e) {
      return;
    }
    assertThat(Math.abs((long) number.scale())).as(text).isLessThanOrEqualTo(MAX_SCALE);
    assertThat(text).hasSizeLessThanOrEqualTo(32);
  }
}
