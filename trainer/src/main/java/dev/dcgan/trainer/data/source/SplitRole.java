package dev.dcgan.trainer.data.source;

import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** What a folder is by its name, in any usual spelling: a training, test or validation split. */
enum SplitRole {
  TRAINING,
  TEST,
  VALIDATION;

  private static final Map<String, SplitRole> ROLES =
      Map.ofEntries(
          Map.entry("train", TRAINING),
          Map.entry("training", TRAINING),
          Map.entry("trn", TRAINING),
          Map.entry("test", TEST),
          Map.entry("testing", TEST),
          Map.entry("tst", TEST),
          Map.entry("val", VALIDATION),
          Map.entry("valid", VALIDATION),
          Map.entry("validation", VALIDATION),
          Map.entry("validate", VALIDATION),
          Map.entry("dev", VALIDATION),
          Map.entry("eval", VALIDATION),
          Map.entry("evaluation", VALIDATION),
          Map.entry("holdout", VALIDATION),
          Map.entry("heldout", VALIDATION));

  /** Words that say nothing: {@code seg_train}, {@code test_images}, {@code TrainingSet}. */
  private static final Set<String> FILLERS =
      Set.of(
          "set",
          "sets",
          "split",
          "data",
          "dataset",
          "folder",
          "dir",
          "images",
          "image",
          "imgs",
          "img",
          "pictures",
          "photos",
          "seg",
          "final",
          "raw",
          "all");

  // train_images, seg-train, TrainSet, train2017, "Training Set", 01_train
  private static final Pattern BETWEEN_WORDS =
      Pattern.compile(
          "[^\\p{L}\\d]+|(?<=\\p{Ll})(?=\\p{Lu})|(?<=\\p{L})(?=\\d)|(?<=\\d)(?=\\p{L})");
  private static final List<String> GLUED =
      List.of("set", "sets", "data", "dataset", "images", "imgs", "split");

  /**
   * The words that all folders have, other than those for a split: {@code pets} of {@code
   * pets_train} and {@code pets_test}.
   */
  static Set<String> commonWords(Set<String> folders) {
    Set<String> common = null;
    for (String folder : folders) {
      if (folder.isEmpty()) {
        continue; // images beside the folders
      }
      Set<String> words = new HashSet<>();
      for (String word : BETWEEN_WORDS.split(folder, -1)) {
        words.add(word.toLowerCase(Locale.ROOT));
      }
      if (common == null) {
        common = words;
      } else {
        common.retainAll(words);
      }
    }
    if (common == null) {
      return Set.of();
    }
    common.removeIf(word -> ROLES.containsKey(unglued(word)));
    return common;
  }

  /**
   * The role of a folder; empty if its name has other words, or none of these.
   *
   * @param fillers words that say nothing here
   */
  static Optional<SplitRole> of(String folder, Set<String> fillers) {
    SplitRole role = null;
    for (String word : BETWEEN_WORDS.split(folder, -1)) {
      String lower = word.toLowerCase(Locale.ROOT);
      SplitRole found = ROLES.get(unglued(lower));
      if (found != null && role != null && found != role) {
        return Optional.empty(); // train_val is neither
      }
      if (found != null) {
        role = found;
      } else if (!FILLERS.contains(lower)
          && !fillers.contains(lower)
          && !lower.chars().allMatch(Character::isDigit)) {
        return Optional.empty();
      }
    }
    return Optional.ofNullable(role);
  }

  private static String unglued(String word) {
    for (String end : GLUED) {
      if (word.endsWith(end)
          && ROLES.containsKey(word.substring(0, word.length() - end.length()))) {
        return word.substring(0, word.length() - end.length());
      }
    }
    return word;
  }

  /** Whether a folder's name says nothing, as {@code images} does. */
  static boolean isFiller(String folder) {
    return FILLERS.contains(folder.toLowerCase(Locale.ROOT));
  }
}
