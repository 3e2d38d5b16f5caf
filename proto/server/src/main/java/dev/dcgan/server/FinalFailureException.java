package dev.dcgan.server;

import java.io.IOException;

/**
 * A failure that would repeat if the same command were retried. The message is written for
 * operators.
 */
public final class FinalFailureException extends IOException {

  /**
   * The exit code of a permanent failure, EX_DATAERR of sysexits.h. A job scheduler would retry
   * after exit code 1.
   */
  public static final int EXIT_CODE = 65;

  private static final long serialVersionUID = 1L;

  public FinalFailureException(String message) {
    super(message);
  }

  public FinalFailureException(String message, Throwable cause) {
    super(message, cause);
  }
}
