package dev.dcgan.server;

import java.time.Duration;

/**
 * The time that a client has to read a response, before it is cancelled to free its memory.
 *
 * @param grace the time to begin, however small the response
 * @param bytesPerSecond the rate at which it must be read then
 */
public record ReadTime(Duration grace, long bytesPerSecond) {

  public static final ReadTime DEFAULT = new ReadTime(Duration.ofSeconds(30), 128 << 10);

  /** The time for a response of a size. */
  public Duration of(long bytes) {
    return grace.plusMillis(bytes * 1000 / bytesPerSecond);
  }
}
