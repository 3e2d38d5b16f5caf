package dev.dcgan.server.access;

import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** What a caller may do. A caller has one or more; {@link #ADMIN} may do everything. */
public enum Role {
  /** Make images. */
  GENERATE,
  /** Read models, runs and metrics. */
  READ,
  /** Start and resume runs that do not publish, stop runs, and download checkpoints. */
  TRAIN,
  /** Publish models; with {@link #TRAIN}, start and resume runs that publish. */
  PUBLISH,
  /** Everything. */
  ADMIN;

  /** The name in files and messages. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Optional<Role> of(String label) {
    return Stream.of(values()).filter(role -> role.label().equals(label)).findFirst();
  }
}
