package dev.dcgan.sampler.scheduling;

/**
 * Why a run or a load failed.
 *
 * @param summary one line for the log
 */
public record Failure(Kind kind, String summary) {

  /** What a failure means for callers and for the process. */
  public enum Kind {
    /** The device or the host had too little memory; a retry may succeed. */
    OUT_OF_MEMORY("out_of_memory"),
    /** The device no longer works in this process; only a restart helps. */
    DEVICE_LOST("device_lost"),
    /** The run did not return in time. */
    TIMEOUT("timeout"),
    /** The runtime rejects the model itself. */
    BAD_MODEL("other"),
    /** The device's libraries failed in another way. */
    OTHER("other"),
    /** No failure of the runtime but a bug in this program. */
    FAULT("other");

    private final String reason;

    Kind(String reason) {
      this.reason = reason;
    }

    /** The value of the metric label {@code reason}. */
    public String reason() {
      return reason;
    }
  }
}
