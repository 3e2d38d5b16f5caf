package dev.dcgan.trainer.run;

/** A request that cannot be served; the message is for its caller. */
public final class RequestException extends Exception {

  private static final long serialVersionUID = 1L;

  /** Why it cannot be served. */
  public enum Why {
    NOT_FOUND,
    /** The run is not in a state that allows it. */
    WRONG_STATE,
    /** The request id was used for another request. */
    ALREADY_EXISTS,
    /** The caller has no role for it. */
    DENIED,
    /** The queue is full. */
    FULL,
    /** The service is shutting down. */
    ENDING
  }

  private final Why why;

  public RequestException(Why why, String message) {
    super(message);
    this.why = why;
  }

  public static RequestException ending() {
    return new RequestException(Why.ENDING, "the service is shutting down; try again later");
  }

  public Why why() {
    return why;
  }
}
