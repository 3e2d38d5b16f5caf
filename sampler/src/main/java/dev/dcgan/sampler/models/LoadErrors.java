package dev.dcgan.sampler.models;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The errors of requests for a version that cannot be loaded or pinned. */
final class LoadErrors {

  private static final Logger log = LoggerFactory.getLogger(LoadErrors.class);

  // gRPC's clients accept 8 KiB of metadata, which contain the message.
  private static final int MAX_REASON = 500;
  private static final int MAX_NAME = 100;

  private LoadErrors() {}

  /** What a caller sent, short and on one line. */
  static String excerpt(String text) {
    return shorten(text, MAX_NAME).replaceAll("\\p{Cntrl}", "?");
  }

  private static String shorten(String text, int length) {
    return text.length() > length ? text.substring(0, length) + "..." : text;
  }

  /** A short reason without control characters, and without the folders of absolute paths. */
  static String forCallers(Path repository, String reason) {
    String shown =
        reason
            .replaceAll("(?<=^|[\\s'(])" + Pattern.quote(repository + "/"), "")
            .replaceAll("(?<=^|[\\s'(])/(?:[^\\s/]+/)*", "")
            .replaceAll("\\p{Cntrl}", "?");
    return shorten(shown, MAX_REASON);
  }

  static NotServedException invalid(
      Path repository, Why why, String model, long version, InvalidModelException e) {
    return new NotServedException(
        why,
        "version %d of %s cannot be used: %s"
            .formatted(version, model, forCallers(repository, String.valueOf(e.getMessage()))));
  }

  /** Logs the cause too, unless it is logged already or tells nothing new. */
  static NotServedException unavailable(String model, long version, Throwable e) {
    if (e instanceof NoSuchFileException) {
      return new NotServedException(
          Why.NOT_FOUND,
          "version %d of %s is no longer in the repository".formatted(version, model));
    }
    if (e instanceof LoadBackoff.TooEarlyException early) {
      // The failure of the attempt before is in the log.
      return new NotServedException(
          Why.UNAVAILABLE,
          "cannot load version %d of %s; try again in %d s, the server's log has the cause"
              .formatted(version, model, early.left().toSeconds() + 1));
    }
    Failure failure = RuntimeFailure.of(e);
    // The summary tells enough of I/O and runtime errors; anything else is a bug in this program.
    boolean expected =
        e instanceof IOException
            || e instanceof UncheckedIOException
            || failure.kind() != Kind.FAULT;
    log.error("cannot load {}/{}: {}", model, version, failure.summary(), expected ? null : e);
    return new NotServedException(
        Why.UNAVAILABLE,
        "cannot load version %d of %s; try again later, the server's log has the cause"
            .formatted(version, model));
  }

  static NotServedException notPinned(Path repository, String model, IOException e) {
    return new NotServedException(
        Why.WRONG_STATE,
        "cannot set the serving version of %s: its folder cannot be written: %s"
            .formatted(model, forCallers(repository, e.toString())));
  }
}
