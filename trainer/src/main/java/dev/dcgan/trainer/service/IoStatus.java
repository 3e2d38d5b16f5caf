package dev.dcgan.trainer.service;

import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Errors;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The status of a call that could not read or write the service's files. Callers get what the
 * operating system says, without paths; the log has the rest.
 */
final class IoStatus {

  private static final Logger log = LoggerFactory.getLogger(IoStatus.class);
  private static final Duration RETRY_DELAY = Duration.ofMinutes(1);
  // The messages of ENOSPC and EDQUOT.
  private static final List<String> FULL =
      List.of("No space left on device", "Disk quota exceeded");

  private IoStatus() {}

  /**
   * Logs a failure, and returns RESOURCE_EXHAUSTED if the disk is full, otherwise UNAVAILABLE.
   *
   * @param what what could not be done, for example {@code stop the run}
   */
  static StatusRuntimeException of(String what, IOException failure) {
    String reason =
        Stream.iterate((Throwable) failure, Objects::nonNull, Throwable::getCause)
            .flatMap(thrown -> reason(thrown).stream())
            .findFirst()
            .orElse("input/output error");
    String found = ErrorMessages.oneLine(failure);
    log.error("cannot {}: {}", what, found.contains(reason) ? found : found + ": " + reason);
    log.debug("cannot {}", what, failure);
    return FULL.contains(reason)
        ? Errors.overloaded(
            "cannot %s: %s; make room on the service's disk, and try again".formatted(what, reason),
            RETRY_DELAY)
        : Errors.unavailable(
            "cannot %s: %s; the service's log names the file".formatted(what, reason));
  }

  private static Optional<String> reason(Throwable thrown) {
    if (thrown instanceof AccessDeniedException) {
      return Optional.of("Permission denied");
    }
    if (thrown instanceof NoSuchFileException) {
      return Optional.of("No such file or directory");
    }
    String text =
        thrown instanceof FileSystemException failure ? failure.getReason() : thrown.getMessage();
    return Optional.ofNullable(text)
        .filter(line -> !line.isBlank() && line.lines().count() == 1)
        .filter(line -> line.indexOf('/') < 0 && line.indexOf('\\') < 0);
  }
}
