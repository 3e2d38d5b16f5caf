package dev.dcgan.sampler.scheduling;

/** A request cannot finish before its deadline, or did not; nothing of it is queued. */
public final class TooLateException extends Exception {

  private static final long serialVersionUID = 1L;

  TooLateException(String message) {
    super(message);
  }
}
