package dev.dcgan.trainer.torch;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** Signals that a file is truncated or its contents do not match their digest. */
public final class DamagedFileException extends IOException {

  private static final long serialVersionUID = 1L;

  public DamagedFileException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
