package dev.dcgan.server;

import java.io.IOException;

/**
 * A failure that the same command would end with however often it were started again; its message
 * is written for operators.
 */
public final class FinalFailureException extends IOException {

  /**
   * The exit code of a job that has failed for good: EX_DATAERR of sysexits.h. Not 1: what
   * schedules jobs would try it again.
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
