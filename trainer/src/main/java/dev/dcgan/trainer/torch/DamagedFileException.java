package dev.dcgan.trainer.torch;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** A file is cut short, or its bytes are not those that were written. */
public final class DamagedFileException extends IOException {

  private static final long serialVersionUID = 1L;

  public DamagedFileException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
