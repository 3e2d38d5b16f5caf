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
import java.util.function.Consumer;
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

  /** For checks: whoever takes the certificates tells of those that are left out. */
  static final Consumer<String> UNTOLD = line -> {};

  private Pem() {}

  /**
   * Certificates of authorities, without those that have expired: a bundle keeps old ones.
   *
   * @param leftOut gets a line for each that has
   * @throws IOException the file cannot be read, or has none that is valid
   */
  static List<X509Certificate> authorities(Path file, Consumer<String> leftOut) throws IOException {
    List<X509Certificate> all = certificates(file);
    if (all.stream().allMatch(Pem::hasExpired)) {
      throw new IOException(expired(file, all.get(0)) + "; expected one that is valid");
    }
    return valid(file, all, leftOut);
  }

  /**
   * One's own certificate, then those that vouch for it, without those that have expired.
   *
   * @param leftOut gets a line for each that has
   * @throws IOException the file cannot be read, or has none, or the first has expired
   */
  static List<X509Certificate> chain(Path file, Consumer<String> leftOut) throws IOException {
    List<X509Certificate> all = certificates(file);
    if (hasExpired(all.get(0))) {
      throw new IOException(expired(file, all.get(0)) + "; expected one that is valid");
    }
    return valid(file, all, leftOut);
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
   * @param leftOut gets a line for each certificate of the chain that has expired
   * @throws IOException one of the files is wrong, or the key is another certificate's
   */
  static Identity identity(Path chainFile, Path keyFile, Consumer<String> leftOut)
      throws IOException {
    Identity identity = new Identity(chain(chainFile, leftOut), key(keyFile));
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
        chainFile != null && problems.requireReads("--tls-cert", () -> chain(chainFile, UNTOLD));
    boolean hasKey = keyFile != null && problems.requireReads("--tls-key", () -> key(keyFile));
    if (chainFile != null && keyFile != null && hasChain && hasKey) {
      problems.requireReads("--tls-key", () -> identity(chainFile, keyFile, UNTOLD));
    }
  }

  private static List<X509Certificate> certificates(Path file) throws IOException {
    try {
      List<X509Certificate> found = List.of(CertificateUtils.getX509Certificates(open(file)));
      if (found.isEmpty()) {
        throw new IOException(file + ": no certificate; expected PEM, 'BEGIN CERTIFICATE'");
      }
      return found;
    } catch (CertificateException e) {
      throw new IOException(
          "%s: a certificate is damaged (%s); expected PEM".formatted(file, e.getMessage()), e);
    }
  }

  private static List<X509Certificate> valid(
      Path file, List<X509Certificate> all, Consumer<String> leftOut) {
    for (X509Certificate certificate : all) {
      if (hasExpired(certificate)) {
        leftOut.accept(expired(file, certificate) + "; it is left out");
      }
    }
    return all.stream().filter(certificate -> !hasExpired(certificate)).toList();
  }

  private static boolean hasExpired(X509Certificate certificate) {
    return certificate.getNotAfter().toInstant().isBefore(Instant.now());
  }

  private static String expired(Path file, X509Certificate certificate) {
    return "%s: %s expired at %s"
        .formatted(
            file, certificate.getSubjectX500Principal(), certificate.getNotAfter().toInstant());
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
