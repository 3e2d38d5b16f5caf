package dev.dcgan.trainer;

/** What was asked for cannot be done; the message is for whoever asked. */
final class RefusedException extends Exception {

  private static final long serialVersionUID = 1L;

  /** What kind of answer it is. */
  enum Why {
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

  RefusedException(Why why, String message) {
    super(message);
    this.why = why;
  }

  static RefusedException ending() {
    return new RefusedException(Why.ENDING, "the service is ending; try again later");
  }

  Why why() {
    return why;
  }
}
