package dev.dcgan.trainer.data.source;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Names of files and folders that operating systems and other programs leave among images. */
final class SystemFiles {

  private static final Set<String> NAMES =
      Set.of(
          // Network storage by Synology and QNAP
          "@eadir",
          "@tmp",
          "@recycle",
          "@recently-snapshot",
          "#recycle",
          "#snapshot",
          // ext4, NetApp
          "lost+found",
          "~snapshot",
          // Windows
          "$recycle.bin",
          "recycler",
          "system volume information",
          "thumbs.db",
          "ehthumbs.db",
          "desktop.ini",
          // macOS: in zips, on network volumes
          "__macosx",
          "network trash folder",
          "temporary items",
          "icon\r",
          // Python
          "__pycache__");

  private SystemFiles() {}

  /** Why a file or folder of this name is ignored; empty if it is not. */
  static Optional<String> reason(String name) {
    if (name.startsWith(".")) {
      return Optional.of("hidden");
    }
    String lower = name.toLowerCase(Locale.ROOT);
    return NAMES.contains(lower) || lower.startsWith("@syno")
        ? Optional.of("system file or folder")
        : Optional.empty();
  }
}
