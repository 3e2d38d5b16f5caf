package dev.dcgan.sampler.scheduling;

/** A request's images could not be made before its deadline, or were not; nothing is queued. */
public final class TooLateException extends Exception {

  private static final long serialVersionUID = 1L;

  TooLateException(String message) {
    super(message);
  }
}
