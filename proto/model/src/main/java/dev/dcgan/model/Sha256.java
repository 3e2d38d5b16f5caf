package dev.dcgan.model;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Computes a SHA-256 digest in the form that manifests and checkpoints store. */
public final class Sha256 {

  private final MessageDigest digest;

  /** Starts a digest. */
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

  /** Appends the buffer's remaining bytes without changing its position. */
  @CanIgnoreReturnValue
  public Sha256 add(ByteBuffer bytes) {
    digest.update(bytes.duplicate());
    return this;
  }

  /** Completes the digest and returns it as 64 lower-case hexadecimal digits. */
  public String hex() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
