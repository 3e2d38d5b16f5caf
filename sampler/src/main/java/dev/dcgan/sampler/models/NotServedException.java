package dev.dcgan.sampler.models;

/** A requested model or version cannot be served; the message, one line, is for the caller. */
public final class NotServedException extends Exception {

  private static final long serialVersionUID = 1L;

  /** The kind of error. */
  public enum Why {
    /** Several models are served, and the caller named none. */
    AMBIGUOUS,
    /** There is no such model or version, or no memory for it. */
    NOT_FOUND,
    /** A retry may succeed, here later or on another replica. */
    UNAVAILABLE,
    /** The version or the repository must be repaired first. */
    WRONG_STATE,
    /** The configuration of this sampler forbids it. */
    FORBIDDEN
  }

  private final Why why;

  NotServedException(Why why, String message) {
    super(message);
    this.why = why;
  }

  public Why why() {
    return why;
  }
}
