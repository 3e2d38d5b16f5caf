package dev.dcgan.trainer.data.source;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * The labels in StyleGAN's {@code dataset.json}: {@code {"labels": [["00000/img.png", 3], ...]}},
 * or null without labels. A label is an integer or a one-hot vector.
 */
final class DatasetJson {

  /** The file's name. */
  static final String NAME = "dataset.json";

  private static final int MAX_CLASSES = 100_000;

  private DatasetJson() {}

  /**
   * Reads the labels of all files of that name in a tree.
   *
   * @return labels by the images' names in the tree; empty if there are none
   * @throws IOException if a file is not of this form; the message names it
   */
  static Map<String, Integer> labels(FileTree tree) throws IOException {
    Map<String, Integer> labels = new HashMap<>();
    for (String name : tree.names()) {
      if (isDatasetJson(name)) {
        String folder = name.substring(0, name.length() - NAME.length());
        try {
          add(new String(tree.read(name), StandardCharsets.UTF_8), folder, labels);
        } catch (JsonParseException
            | IllegalStateException
            | NumberFormatException
            | UnsupportedOperationException e) {
          throw new IOException(
              "cannot read %s: %s; expected {\"labels\": [[\"<image>\", <class>], ...]} or null, as StyleGAN writes it: correct or remove it"
                  .formatted(tree.location(name), e.getMessage()),
              e);
        } catch (IOException e) {
          throw new IOException(
              "cannot read %s: %s; correct or remove it"
                  .formatted(tree.location(name), e.getMessage()),
              e);
        }
      }
    }
    return labels;
  }

  /** Whether a file has this name. */
  static boolean isDatasetJson(String name) {
    return name.equals(NAME) || name.endsWith("/" + NAME);
  }

  private static void add(String json, String folder, Map<String, Integer> labels)
      throws IOException {
    JsonElement all = JsonParser.parseString(json).getAsJsonObject().get("labels");
    if (all == null || all.isJsonNull()) {
      return;
    }
    for (JsonElement each : all.getAsJsonArray()) {
      JsonArray pair = each.getAsJsonArray();
      if (pair.size() != 2) {
        throw new JsonParseException("a label of %d values".formatted(pair.size()));
      }
      String image = FileNames.normalize(pair.get(0).getAsString().replace('\\', '/'));
      labels.put(folder + image, label(pair.get(1)));
    }
  }

  private static int label(JsonElement label) throws IOException {
    int value = label.isJsonArray() ? hot(label.getAsJsonArray()) : integer(label);
    if (value < 0 || value >= MAX_CLASSES) {
      throw new IOException(
          "label %s; expected an integer from 0 to %d or a one-hot vector"
              .formatted(label, MAX_CLASSES - 1));
    }
    return value;
  }

  private static int integer(JsonElement label) {
    try {
      return label.getAsBigDecimal().intValueExact();
    } catch (ArithmeticException | NumberFormatException e) {
      return -1;
    }
  }

  /** The index of the only one among zeros; -1 if there is no such. */
  private static int hot(JsonArray vector) {
    int hot = -1;
    for (int i = 0; i < vector.size(); i++) {
      BigDecimal value = vector.get(i).getAsBigDecimal();
      if (value.signum() != 0) {
        if (hot >= 0 || value.compareTo(BigDecimal.ONE) != 0) {
          return -1;
        }
        hot = i;
      }
    }
    return hot;
  }
}
