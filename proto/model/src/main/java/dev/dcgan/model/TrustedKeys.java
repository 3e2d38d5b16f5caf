package dev.dcgan.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.List;

/**
 * The public keys that a reader trusts: a version is valid only if one of them verifies the
 * signature of its manifest. Immutable.
 */
public final class TrustedKeys {

  static final String PUBLIC = "PUBLIC KEY";

  private static final int SIGNATURE_BYTES = 64;

  private final List<PublicKey> keys;

  private TrustedKeys(List<PublicKey> keys) {
    this.keys = keys;
  }

  /**
   * Reads one or more Ed25519 keys in PEM.
   *
   * @throws IOException if the file cannot be read, or has no key or another one; one line with its
   *     name
   */
  public static TrustedKeys read(Path file) throws IOException {
    return of(file, PemFile.read(file, PUBLIC));
  }

  /**
   * The keys of a file.
   *
   * @param blocks the keys as the file has them
   */
  static TrustedKeys of(Path file, List<byte[]> blocks) throws IOException {
    List<PublicKey> keys = new ArrayList<>();
    for (byte[] encoded : blocks) {
      try {
        PublicKey key =
            KeyFactory.getInstance(SigningKey.ALGORITHM)
                .generatePublic(new X509EncodedKeySpec(encoded));
        // Only this notices a point that is not on the curve.
        Signature.getInstance(SigningKey.ALGORITHM).initVerify(key);
        keys.add(key);
      } catch (GeneralSecurityException e) {
        throw new IOException(
            "%s: public key %d is damaged or of another type; expected Ed25519"
                .formatted(file, keys.size() + 1),
            e);
      }
    }
    if (keys.isEmpty()) {
      throw new IOException(
          "%s has no public key; expected PEM, 'BEGIN PUBLIC KEY', as `trainer keygen` writes it"
              .formatted(file));
    }
    return new TrustedKeys(List.copyOf(keys));
  }

  /**
   * Verifies the signature of a manifest.
   *
   * @param signature the file with the 64 bytes of the signature
   * @throws InvalidModelException if there is none or no trusted key made it
   */
  void verify(byte[] manifest, Path signature) throws IOException {
    if (Files.notExists(signature)) {
      throw new InvalidModelException(
          "%s is missing; expected a version that one of the %d trusted keys has signed"
              .formatted(signature, keys.size()));
    }
    verify(manifest, signature, ModelBundle.readBytes(signature, SIGNATURE_BYTES));
  }

  /** As {@link #verify(byte[], Path)}, of the content of the file. */
  void verify(byte[] manifest, Path signature, byte[] signed) throws InvalidModelException {
    for (PublicKey key : keys) {
      if (isSignedBy(key, manifest, signed)) {
        return;
      }
    }
    throw new InvalidModelException(
        "%s fits the manifest under none of the %d trusted keys: one was changed, or another key signed"
                .formatted(signature, keys.size())
            + " it; publish the version again");
  }

  private static boolean isSignedBy(PublicKey key, byte[] manifest, byte[] signed) {
    try {
      Signature signature = Signature.getInstance(SigningKey.ALGORITHM);
      signature.initVerify(key);
      signature.update(manifest);
      return signature.verify(signed);
    } catch (SignatureException e) {
      return false; // not a signature at all
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JDK has Ed25519", e);
    }
  }
}
