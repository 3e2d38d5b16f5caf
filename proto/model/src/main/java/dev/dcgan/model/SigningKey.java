package dev.dcgan.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.List;

/**
 * The private key that signs the manifests of published versions: Ed25519 (RFC 8032), PKCS#8 in
 * PEM, as {@code openssl genpkey -algorithm ed25519} writes it. Immutable.
 */
public final class SigningKey {

  static final String ALGORITHM = "Ed25519";

  private static final String PRIVATE = "PRIVATE KEY";

  private final PrivateKey key;

  private SigningKey(PrivateKey key) {
    this.key = key;
  }

  /**
   * Reads the key.
   *
   * @throws IOException if the file cannot be read or has no such key; one line with its name
   */
  public static SigningKey read(Path file) throws IOException {
    List<byte[]> found = PemFile.read(file, PRIVATE);
    if (found.size() != 1) {
      throw new IOException(
          "%s has %d private keys; expected one of Ed25519 in PKCS#8: make one with `trainer keygen`"
              .formatted(file, found.size()));
    }
    try {
      return new SigningKey(
          KeyFactory.getInstance(ALGORITHM).generatePrivate(new PKCS8EncodedKeySpec(found.get(0))));
    } catch (GeneralSecurityException e) {
      throw new IOException(
          "%s: the private key is damaged or of another type; expected Ed25519 in PKCS#8"
              .formatted(file),
          e);
    }
  }

  /**
   * Writes a new private key, which only its owner may read, and its public key.
   *
   * @throws IOException if a file exists already or cannot be written
   */
  public static void generate(Path privateFile, Path publicFile) throws IOException {
    for (Path file : List.of(privateFile, publicFile)) {
      if (Files.exists(file)) {
        throw new IOException(
            file
                + " exists already; choose another folder, or move it away: what it signed is"
                + " trusted through it");
      }
    }
    try {
      KeyPair pair = KeyPairGenerator.getInstance(ALGORITHM).generateKeyPair();
      Files.createFile(
          privateFile,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      PemFile.append(privateFile, PRIVATE, pair.getPrivate().getEncoded());
      Files.createFile(publicFile);
      PemFile.append(publicFile, TrustedKeys.PUBLIC, pair.getPublic().getEncoded());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JDK has Ed25519", e);
    }
  }

  /** The signature of a manifest's bytes, 64 bytes. */
  ByteBuffer sign(byte[] manifest) {
    try {
      Signature signature = Signature.getInstance(ALGORITHM);
      signature.initSign(key);
      signature.update(manifest);
      return ByteBuffer.wrap(signature.sign());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JDK has Ed25519", e);
    }
  }
}
