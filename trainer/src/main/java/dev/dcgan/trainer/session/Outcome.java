package dev.dcgan.trainer.session;

import dev.dcgan.v1.RunState;
import java.util.Optional;

/**
 * How a training session ended.
 *
 * @param reason for people; empty if there is nothing to say
 * @param deviceFailed whether the device or its memory failed: this process must train no other run
 */
public record Outcome(Kind kind, String reason, boolean deviceFailed) {

  /** The ways to end. */
  public enum Kind {
    /** The run was trained to its end. */
    SUCCEEDED,
    /** An interruption was requested; another process continues the run. */
    INTERRUPTED,
    /** A stop was requested. */
    STOPPED,
    /** The run cannot be continued. */
    FAILED,
    /** Something that may pass was in the way; another attempt continues the run. */
    RETRY
  }

  public static Outcome succeeded() {
    return new Outcome(Kind.SUCCEEDED, "", false);
  }

  public static Outcome interrupted(String reason) {
    return new Outcome(Kind.INTERRUPTED, reason, false);
  }

  public static Outcome stopped(String reason) {
    return new Outcome(Kind.STOPPED, reason, false);
  }

  public static Outcome failed(String reason) {
    return new Outcome(Kind.FAILED, reason, false);
  }

  /** A failure that may pass. */
  public static Outcome retry(String reason) {
    return new Outcome(Kind.RETRY, reason, false);
  }

  /** The device or its memory failed. */
  public static Outcome deviceFailed(String reason) {
    return new Outcome(Kind.RETRY, reason, true);
  }

  Outcome afterDeviceFailure() {
    return new Outcome(kind, reason, true);
  }

  /** The state that the run is in then; empty: it stays as it is, and can be continued. */
  public Optional<RunState> state() {
    return switch (kind) {
      case SUCCEEDED -> Optional.of(RunState.RUN_STATE_SUCCEEDED);
      case STOPPED -> Optional.of(RunState.RUN_STATE_STOPPED);
      case FAILED -> Optional.of(RunState.RUN_STATE_FAILED);
      case INTERRUPTED, RETRY -> Optional.empty();
    };
  }
}
