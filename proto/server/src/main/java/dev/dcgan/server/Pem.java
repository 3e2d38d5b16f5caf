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

/** Reads PEM files. Error messages have one line and start with the file's name. */
final class Pem {

  /**
   * A certificate chain and its private key.
   *
   * @param chain the own certificate first, then the intermediate certificates
   * @param key the private key of the first certificate
   */
  record Identity(List<X509Certificate> chain, PrivateKey key) {}

  private static final String KEY = "-----BEGIN PRIVATE KEY-----";

  /** Discards warnings, for validation: the code that uses the certificates warns. */
  static final Consumer<String> NO_WARNINGS = line -> {};

  private Pem() {}

  /**
   * Reads CA certificates and skips expired ones, which bundles often contain.
   *
   * @param warnings receives a line for each expired certificate
   * @throws IOException if the file cannot be read or has no valid certificate
   */
  static List<X509Certificate> authorities(Path file, Consumer<String> warnings)
      throws IOException {
    List<X509Certificate> all = certificates(file);
    if (all.stream().allMatch(Pem::hasExpired)) {
      throw new IOException(expired(file, all.get(0)) + "; expected one that is valid");
    }
    return valid(file, all, warnings);
  }

  /**
   * Reads a certificate chain, the own certificate first, and skips expired certificates.
   *
   * @param warnings receives a line for each expired certificate
   * @throws IOException if the file cannot be read, has no certificate, or the first has expired
   */
  static List<X509Certificate> chain(Path file, Consumer<String> warnings) throws IOException {
    List<X509Certificate> all = certificates(file);
    if (hasExpired(all.get(0))) {
      throw new IOException(expired(file, all.get(0)) + "; expected one that is valid");
    }
    return valid(file, all, warnings);
  }

  /**
   * Reads an RSA or EC private key in PKCS#8 without a password.
   *
   * @throws IOException if the file cannot be read or has no such key
   */
  static PrivateKey key(Path file) throws IOException {
    String text = new String(open(file).readAllBytes(), StandardCharsets.ISO_8859_1);
    if (!text.contains(KEY)) {
      throw new IOException(
          text.contains("PRIVATE KEY-----")
              ? ("%s: the private key is not in PKCS#8 or has a password; convert it with"
                      + " openssl pkcs8 -topk8 -nocrypt")
                  .formatted(file)
              : "%s: found no private key; expected PEM in PKCS#8, 'BEGIN PRIVATE KEY'"
                  .formatted(file));
    }
    try {
      return CertificateUtils.getPrivateKey(open(file));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      throw new IOException(
          file + ": the private key is damaged or of another type; expected RSA or EC", e);
    }
  }

  /**
   * Reads a certificate chain and its private key.
   *
   * @param warnings receives a line for each expired certificate of the chain
   * @throws IOException if a file is invalid or the key does not match the first certificate
   */
  static Identity identity(Path chainFile, Path keyFile, Consumer<String> warnings)
      throws IOException {
    Identity identity = new Identity(chain(chainFile, warnings), key(keyFile));
    if (!arePair(identity.chain.get(0).getPublicKey(), identity.key)) {
      throw new IOException(
          "%s: the key does not match the first certificate in %s".formatted(keyFile, chainFile));
    }
    return identity;
  }

  /** Reports an invalid or missing option if at least one of the two options is given. */
  static void checkIdentity(Validator validator, @Nullable Path chainFile, @Nullable Path keyFile) {
    validator.require(
        (chainFile == null) == (keyFile == null),
        "--tls-cert requires --tls-key and vice versa; give both");
    boolean hasChain =
        chainFile != null
            && validator.requireReadable("--tls-cert", () -> chain(chainFile, NO_WARNINGS));
    boolean hasKey = keyFile != null && validator.requireReadable("--tls-key", () -> key(keyFile));
    if (chainFile != null && keyFile != null && hasChain && hasKey) {
      validator.requireReadable("--tls-key", () -> identity(chainFile, keyFile, NO_WARNINGS));
    }
  }

  private static List<X509Certificate> certificates(Path file) throws IOException {
    try {
      List<X509Certificate> found = List.of(CertificateUtils.getX509Certificates(open(file)));
      if (found.isEmpty()) {
        throw new IOException(file + ": found no certificate; expected PEM, 'BEGIN CERTIFICATE'");
      }
      return found;
    } catch (CertificateException e) {
      throw new IOException(
          "%s: a certificate is damaged (%s); expected PEM".formatted(file, e.getMessage()), e);
    }
  }

  private static List<X509Certificate> valid(
      Path file, List<X509Certificate> all, Consumer<String> warnings) {
    for (X509Certificate certificate : all) {
      if (hasExpired(certificate)) {
        warnings.accept(expired(file, certificate) + "; it is ignored");
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

  private static boolean arePair(PublicKey publicKey, PrivateKey privateKey) {
    byte[] message =
        "signed with one key, verified with the other".getBytes(StandardCharsets.UTF_8);
    try {
      Signature signature =
          Signature.getInstance(
              privateKey.getAlgorithm().equals("EC") ? "SHA256withECDSA" : "SHA256withRSA");
      signature.initSign(privateKey);
      signature.update(message);
      byte[] signed = signature.sign();
      signature.initVerify(publicKey);
      signature.update(message);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false; // The algorithms or the key sizes differ.
    }
  }

  private static ByteArrayInputStream open(Path file) throws IOException {
    try {
      return new ByteArrayInputStream(Files.readAllBytes(file));
    } catch (NoSuchFileException e) {
      throw new IOException(file + ": no such file", e);
    } catch (IOException e) {
      throw new IOException(
          "%s: cannot read the file (%s: %s)"
              .formatted(file, e.getClass().getSimpleName(), e.getMessage()),
          e);
    }
  }
}
