package dev.dcgan.deploy;

import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;

/** The files of a Secret of type {@code kubernetes.io/tls} with a new certificate. */
public final class TlsSecret {

  private static final String PASSWORD = "password";

  private TlsSecret() {}

  /**
   * Writes {@code tls.crt}, {@code tls.key} and {@code ca.crt} into a folder, and returns the
   * folder. The certificate is its own CA.
   */
  public static Path in(Path folder) throws IOException {
    Path store = folder.resolve("store.p12");
    try {
      Program.run(
          folder,
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
              "-genkeypair",
              "-keyalg",
              "EC",
              "-alias",
              "tls",
              "-dname",
              "CN=dcgan-sampler.dcgan.svc",
              "-ext",
              "san=dns:dcgan-sampler.dcgan.svc,dns:dcgan-sampler-pods.dcgan.svc,dns:dcgan-trainer.dcgan.svc",
              "-keystore",
              store.toString(),
              "-storepass",
              PASSWORD));
      KeyStore keys = KeyStore.getInstance("PKCS12");
      try (InputStream bytes = Files.newInputStream(store)) {
        keys.load(bytes, PASSWORD.toCharArray());
      }
      for (String file : List.of("tls.crt", "ca.crt")) {
        write(folder.resolve(file), "CERTIFICATE", keys.getCertificate("tls").getEncoded());
      }
      write(
          folder.resolve("tls.key"),
          "PRIVATE KEY",
          keys.getKey("tls", PASSWORD.toCharArray()).getEncoded());
      return folder;
    } catch (GeneralSecurityException e) {
      throw new IOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  private static void write(Path file, String label, byte[] content) throws IOException {
    Files.writeString(
        file,
        "-----BEGIN %s-----%n%s%n-----END %s-----%n"
            .formatted(label, Base64.getMimeEncoder().encodeToString(content), label));
  }
}
