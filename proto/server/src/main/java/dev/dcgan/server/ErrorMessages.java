package dev.dcgan.server;

import java.nio.file.FileSystemException;

/** Formats exceptions for operators. */
public final class ErrorMessages {

  private ErrorMessages() {}

  /** Returns a text of a client without what moves the cursor of a terminal, or ends a line. */
  static String printable(String text) {
    return text.replaceAll("\\p{Cc}", "?");
  }

  /**
   * Returns the exception's message on one line, after the class name if the message is too terse.
   */
  public static String oneLine(Exception e) {
    String message = String.valueOf(e.getMessage()).replaceAll("\\s*\\R\\s*", " ");
    // The JDK's own exceptions often name only the file; their class says what is wrong with it.
    boolean terse =
        e.getMessage() == null || (e instanceof FileSystemException f && f.getReason() == null);
    return terse ? e.getClass().getSimpleName() + ": " + message : message;
  }
}
