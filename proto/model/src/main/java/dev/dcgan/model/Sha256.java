package dev.dcgan.model;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A SHA-256 digest under way, in the form that manifests and checkpoints have it. */
public final class Sha256 {

  private final MessageDigest digest;

  /** The digest of nothing yet. */
  public Sha256() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  /** Appends bytes. */
  @CanIgnoreReturnValue
  public Sha256 add(byte[] bytes) {
    digest.update(bytes);
    return this;
  }

  /** Appends what remains in the buffer, which stays as it is. */
  @CanIgnoreReturnValue
  public Sha256 add(ByteBuffer bytes) {
    digest.update(bytes.duplicate());
    return this;
  }

  /** Lower-case hexadecimal, 64 digits; ends this digest. */
  public String hex() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
