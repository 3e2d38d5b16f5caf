package dev.dcgan.trainer.data.source;

import java.util.List;
import java.util.Optional;

/** Collects the entries of an archive: those that are hidden or a system's are ignored. */
final class ArchiveItems {

  private ArchiveItems() {}

  static void add(
      String entry, FileTree.Content content, List<FileTree.Item> items, IgnoredFiles ignored) {
    String name = FileNames.normalize(entry);
    for (int start = 0, end; start <= name.length(); start = end + 1) {
      int slash = name.indexOf('/', start);
      end = slash < 0 ? name.length() : slash;
      Optional<String> reason = SystemFiles.reason(name.substring(start, end));
      if (reason.isPresent()) {
        ignored.add(reason.get(), name.substring(0, slash < 0 ? end : end + 1));
        return;
      }
    }
    items.add(new FileTree.Item(name, null, content));
  }
}
