package dev.dcgan.trainer.config;

/**
 * When the generator is published.
 *
 * @param every the number of epochs between publications, for {@link Kind#EVERY}
 */
public record PublishPolicy(Kind kind, int every) {

  public enum Kind {
    /** After the last epoch. */
    LAST,
    /** Whenever the quality is the best so far. */
    BEST,
    /** After every so many epochs, and after the last. */
    EVERY,
    NEVER
  }
}
