package dev.dcgan.model;

import java.io.IOException;

/** A model version is invalid. The message says what was found and what was expected. */
public final class InvalidModelException extends IOException {

  private static final long serialVersionUID = 1L;

  public InvalidModelException(String message) {
    super(message);
  }

  public InvalidModelException(String message, Throwable cause) {
    super(message, cause);
  }
}
