package dev.dcgan.sampler.graph;

/** A graph that is not allowed, or whose sizes cannot be determined; the message is a clause. */
final class GraphException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  GraphException(String message, Object... arguments) {
    super(message.formatted(arguments));
  }
}
