package dev.dcgan.sampler.scheduling;

/**
 * Why a run or a load failed.
 *
 * @param summary one line for the log
 */
public record Failure(Kind kind, String summary) {

  /** What a failure means for those who wait, and for the process. */
  public enum Kind {
    /** There was not enough memory on the device or the host; it may pass. */
    OUT_OF_MEMORY("out_of_memory"),
    /** The device does not work any more in this process; only a restart helps. */
    DEVICE_LOST("device_lost"),
    /** The run did not return in time. */
    TIMEOUT("timeout"),
    /** The runtime refuses the model itself. */
    BAD_MODEL("other"),
    /** The device's libraries failed in another way. */
    OTHER("other"),
    /** No failure of the runtime, but a fault of this program. */
    FAULT("other");

    private final String reason;

    Kind(String reason) {
      this.reason = reason;
    }

    /** The value of the metrics' label {@code reason}. */
    public String reason() {
      return reason;
    }
  }
}
