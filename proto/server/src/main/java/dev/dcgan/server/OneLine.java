package dev.dcgan.server;

import java.nio.file.FileSystemException;

/** What an exception says, in one line of a log, or of a state that people read. */
public final class OneLine {

  private OneLine() {}

  /** Its message, after its class where that alone says what is wrong. */
  public static String of(Exception e) {
    String message = String.valueOf(e.getMessage()).replaceAll("\\s*\\R\\s*", " ");
    // The JDK's own often say which file, and what is wrong with it by their class.
    boolean terse =
        e.getMessage() == null || (e instanceof FileSystemException f && f.getReason() == null);
    return terse ? e.getClass().getSimpleName() + ": " + message : message;
  }
}
