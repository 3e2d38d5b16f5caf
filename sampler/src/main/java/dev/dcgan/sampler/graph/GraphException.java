package dev.dcgan.sampler.graph;

import com.google.errorprone.annotations.FormatMethod;

/** A graph that is not allowed, or whose sizes cannot be determined; the message is a clause. */
final class GraphException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  @FormatMethod
  GraphException(String message, Object... arguments) {
    super(message.formatted(arguments));
  }
}
