package dev.dcgan.server;

import io.grpc.util.CertificateUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads PEM files, and says in one line what is wrong with one, the file's name first. */
final class Pem {

  /**
   * What proves who one is.
   *
   * @param chain one's own certificate first, then those that vouch for it
   * @param key of the first certificate
   */
  record Identity(List<X509Certificate> chain, PrivateKey key) {}

  private static final String KEY = "-----BEGIN PRIVATE KEY-----";

  private Pem() {}

  /**
   * Certificates of which none has expired.
   *
   * @throws IOException the file cannot be read, or has none, or one that has expired
   */
  static List<X509Certificate> certificates(Path file) throws IOException {
    List<X509Certificate> found;
    try {
      found = List.of(CertificateUtils.getX509Certificates(open(file)));
    } catch (CertificateException e) {
      throw new IOException(
          "%s: a certificate is damaged (%s); expected PEM".formatted(file, e.getMessage()), e);
    }
    if (found.isEmpty()) {
      throw new IOException(file + ": no certificate; expected PEM, 'BEGIN CERTIFICATE'");
    }
    for (X509Certificate certificate : found) {
      Instant end = certificate.getNotAfter().toInstant();
      if (end.isBefore(Instant.now())) {
        throw new IOException(
            "%s: %s expired at %s; expected one that is valid"
                .formatted(file, certificate.getSubjectX500Principal(), end));
      }
    }
    return found;
  }

  /**
   * A private key, RSA or EC, in PKCS#8 without a password.
   *
   * @throws IOException the file cannot be read, or has none
   */
  static PrivateKey key(Path file) throws IOException {
    String text = new String(open(file).readAllBytes(), StandardCharsets.ISO_8859_1);
    if (!text.contains(KEY)) {
      throw new IOException(
          text.contains("PRIVATE KEY-----")
              ? "%s: a private key, but not in PKCS#8 without a password; convert it: openssl pkcs8 -topk8 -nocrypt"
                  .formatted(file)
              : "%s: no private key; expected PEM in PKCS#8, 'BEGIN PRIVATE KEY'".formatted(file));
    }
    try {
      return CertificateUtils.getPrivateKey(open(file));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      throw new IOException(
          file + ": the private key is damaged, or neither RSA nor EC; expected one of these", e);
    }
  }

  /**
   * A chain and its key, that belong together.
   *
   * @throws IOException one of the files is wrong, or the key is another certificate's
   */
  static Identity identity(Path chainFile, Path keyFile) throws IOException {
    Identity identity = new Identity(certificates(chainFile), key(keyFile));
    if (!arePair(identity.chain.get(0).getPublicKey(), identity.key)) {
      throw new IOException(
          "%s: not the key of the first certificate in %s".formatted(keyFile, chainFile));
    }
    return identity;
  }

  /** Adds a line for each of the two options that is missing or wrong, where one is given. */
  static void checkIdentity(Problems problems, @Nullable Path chainFile, @Nullable Path keyFile) {
    problems.require(
        (chainFile == null) == (keyFile == null),
        "--tls-cert and --tls-key go together: give both");
    boolean hasChain =
        chainFile != null && problems.requireReads("--tls-cert", () -> certificates(chainFile));
    boolean hasKey = keyFile != null && problems.requireReads("--tls-key", () -> key(keyFile));
    if (chainFile != null && keyFile != null && hasChain && hasKey) {
      problems.requireReads("--tls-key", () -> identity(chainFile, keyFile));
    }
  }

  private static boolean arePair(PublicKey open, PrivateKey secret) {
    byte[] message = "signed by one, verified by the other".getBytes(StandardCharsets.UTF_8);
    try {
      Signature signature =
          Signature.getInstance(
              secret.getAlgorithm().equals("EC") ? "SHA256withECDSA" : "SHA256withRSA");
      signature.initSign(secret);
      signature.update(message);
      byte[] signed = signature.sign();
      signature.initVerify(open);
      signature.update(message);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false; // Of two algorithms, or of two sizes.
    }
  }

  private static ByteArrayInputStream open(Path file) throws IOException {
    try {
      return new ByteArrayInputStream(Files.readAllBytes(file));
    } catch (NoSuchFileException e) {
      throw new IOException(file + ": no such file", e);
    } catch (IOException e) {
      throw new IOException(
          "%s: cannot be read (%s: %s)"
              .formatted(file, e.getClass().getSimpleName(), e.getMessage()),
          e);
    }
  }
}
