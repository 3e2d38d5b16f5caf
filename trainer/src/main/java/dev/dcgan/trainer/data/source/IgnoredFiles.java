package dev.dcgan.trainer.data.source;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Files and folders of a dataset that are not used, by the reason. A folder counts once; its name
 * ends in {@code /}. Not thread-safe.
 */
public final class IgnoredFiles {

  private static final int MAX_NAMED = 3; // for each reason

  private final Map<String, Set<String>> names = new LinkedHashMap<>();

  /** Adds a name; one that is there already is not counted again. */
  void add(String reason, String name) {
    names.computeIfAbsent(reason, any -> new LinkedHashSet<>()).add(name);
  }

  /** The number of ignored files and folders. */
  public int count() {
    return names.values().stream().mapToInt(Set::size).sum();
  }

  /** All but those of some reasons. */
  IgnoredFiles without(Set<String> reasons) {
    IgnoredFiles others = new IgnoredFiles();
    names.forEach(
        (reason, of) -> {
          if (!reasons.contains(reason)) {
            others.names.put(reason, of);
          }
        });
    return others;
  }

  /** {@code 3 (hidden .git/; not an image LICENSE, notes.txt)}; {@code 0} if there are none. */
  public String summary() {
    return names.isEmpty()
        ? "0"
        : names.entrySet().stream()
            .map(each -> each.getKey() + " " + summarize(each.getValue()))
            .collect(Collectors.joining("; ", count() + " (", ")"));
  }

  private static String summarize(Set<String> names) {
    return ImageFiles.summarize(new TreeSet<>(names).stream().toList(), MAX_NAMED);
  }
}
