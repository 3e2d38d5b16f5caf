package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/** Certificates and keys as PEM files, created by the JDK's keytool: a .crt and a .key per name. */
final class Certificates {

  private static final String PASSWORD = "changeit";

  private final Path folder;
  private final Path store;

  Certificates(Path folder) {
    this.folder = folder;
    this.store = folder.resolve("store.p12");
  }

  /** Creates a key pair and its certificate, self-signed unless the options name a signer. */
  void make(String name, String... options)
      throws IOException, InterruptedException, GeneralSecurityException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of("-genkeypair", "-alias", name, "-dname", "CN=" + name, "-keyalg", "EC"));
    command.addAll(List.of("-keystore", store.toString(), "-storepass", PASSWORD));
    command.addAll(List.of(options));
    Process keytool = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(keytool.waitFor()).as(output).isZero();

    KeyStore made = KeyStore.getInstance(store.toFile(), PASSWORD.toCharArray());
    StringBuilder chain = new StringBuilder();
    for (Certificate certificate : made.getCertificateChain(name)) {
      chain.append(pem("CERTIFICATE", certificate.getEncoded()));
    }
    Files.writeString(crt(name), chain);
    Files.writeString(
        key(name), pem("PRIVATE KEY", made.getKey(name, PASSWORD.toCharArray()).getEncoded()));
  }

  Path crt(String name) {
    return folder.resolve(name + ".crt");
  }

  Path key(String name) {
    return folder.resolve(name + ".key");
  }

  private static String pem(String what, byte[] bytes) {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n".formatted(what, text, what);
  }
}
