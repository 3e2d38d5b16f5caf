package dev.dcgan.trainer.train;

import java.io.IOException;

/** Signals that training diverged: a loss or a weight is NaN or infinite. */
public final class NonFiniteException extends IOException {

  private static final long serialVersionUID = 1L;

  NonFiniteException(String what, int epoch, long step) {
    super(
        "training diverged: %s is not finite at epoch %d, step %d; try a lower --learning-rate"
            .formatted(what, epoch, step));
  }
}
