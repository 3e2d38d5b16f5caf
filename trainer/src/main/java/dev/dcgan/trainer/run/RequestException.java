package dev.dcgan.trainer.run;

/** What was asked for cannot be done; the message is for whoever asked. */
public final class RequestException extends Exception {

  private static final long serialVersionUID = 1L;

  /** What kind of answer it is. */
  public enum Why {
    NOT_FOUND,
    /** The run is not in a state that allows it. */
    WRONG_STATE,
    /** The request id was used for something else. */
    ALREADY_EXISTS,
    /** Too much waits already. */
    FULL,
    /** The program is ending. */
    ENDING
  }

  private final Why why;

  public RequestException(Why why, String message) {
    super(message);
    this.why = why;
  }

  public static RequestException ending() {
    return new RequestException(Why.ENDING, "the service is ending; try again later");
  }

  public Why why() {
    return why;
  }
}
