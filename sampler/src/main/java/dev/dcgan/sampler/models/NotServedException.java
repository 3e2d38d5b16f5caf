package dev.dcgan.sampler.models;

/** What was asked of a model or version cannot be had; the message, one line, is for the caller. */
public final class NotServedException extends Exception {

  private static final long serialVersionUID = 1L;

  /** What kind of answer it is. */
  public enum Why {
    /** Several models are served, and the caller did not say which. */
    AMBIGUOUS,
    /** No such model or version, or no room for it. */
    NOT_FOUND,
    /** Not now; later, or elsewhere. */
    UNAVAILABLE,
    /** The version or the repository must be put right first. */
    WRONG_STATE,
    /** This sampler was not started to allow it. */
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
