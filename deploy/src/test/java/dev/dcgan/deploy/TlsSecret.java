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
final class TlsSecret {

  private static final String PASSWORD = "password";

  private TlsSecret() {}

  /** Writes {@code tls.crt} and {@code tls.key} into a folder, and returns the folder. */
  static Path in(Path folder) throws IOException {
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
              "-keystore",
              store.toString(),
              "-storepass",
              PASSWORD));
      KeyStore keys = KeyStore.getInstance("PKCS12");
      try (InputStream bytes = Files.newInputStream(store)) {
        keys.load(bytes, PASSWORD.toCharArray());
      }
      write(folder.resolve("tls.crt"), "CERTIFICATE", keys.getCertificate("tls").getEncoded());
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
