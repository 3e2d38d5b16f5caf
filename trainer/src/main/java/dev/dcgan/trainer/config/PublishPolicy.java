package dev.dcgan.trainer.config;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * When the generator is published.
 *
 * @param every the number of epochs between publications, for {@link Kind#EVERY}
 */
public record PublishPolicy(Kind kind, int every) {

  private static final Pattern EVERY = Pattern.compile("every [1-9][0-9]{0,4}");

  /** The policies. */
  public enum Kind {
    /** After the last epoch. */
    LAST,
    /** Whenever the quality is the best so far. */
    BEST,
    /** After every so many epochs, and after the last. */
    EVERY,
    NEVER
  }

  /** {@code last}, {@code best}, {@code never} or {@code every 5}. */
  static Optional<PublishPolicy> parse(String text) {
    return switch (text) {
      case "last" -> Optional.of(new PublishPolicy(Kind.LAST, 0));
      case "best" -> Optional.of(new PublishPolicy(Kind.BEST, 0));
      case "never" -> Optional.of(new PublishPolicy(Kind.NEVER, 0));
      default ->
          EVERY.matcher(text).matches()
              ? Optional.of(
                  new PublishPolicy(
                      Kind.EVERY, Integer.parseInt(text.substring("every ".length()))))
              : Optional.empty();
    };
  }
}
