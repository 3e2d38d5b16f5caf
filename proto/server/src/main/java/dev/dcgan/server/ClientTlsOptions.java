package dev.dcgan.server;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** The TLS options of a client. Each of them enables TLS. */
public final class ClientTlsOptions {

  private static final Logger log = LoggerFactory.getLogger(ClientTlsOptions.class);

  @Option(
      names = "--tls",
      description = "Use TLS and verify the server's certificate with the JDK's CA certificates.")
  private boolean tls;

  @Option(
      names = "--tls-ca",
      paramLabel = "FILE",
      description = "PEM: use TLS and verify the server's certificate with these CA certificates.")
  private @Nullable Path ca;

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description = "PEM: the client's certificate, for mTLS; requires --tls-key.")
  private @Nullable Path cert;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "PEM, PKCS#8: the private key of --tls-cert.")
  private @Nullable Path key;

  @Option(
      names = "--tls-authority",
      paramLabel = "NAME",
      description =
          "The host name in the server's certificate, if it differs from that of --target, for"
              + " example with port forwarding.")
  private @Nullable String authority;

  /** Reports each invalid option. */
  public void check(Validator validator) {
    if (ca != null) {
      Path file = ca;
      validator.requireReadable("--tls-ca", () -> Pem.authorities(file, Pem.NO_WARNINGS));
    }
    Pem.checkIdentity(validator, cert, key);
    validator.require(
        authority == null || isName(authority),
        "--tls-authority '%s': expected only the host name in the server's certificate"
            .formatted(authority));
  }

  /**
   * Returns the server to call.
   *
   * @param address {@code host:port}, or another name that gRPC resolves
   * @throws IOException if a file cannot be read or is invalid
   */
  public Target target(String address) throws IOException {
    if (!tls && ca == null && cert == null && key == null && authority == null) {
      return Target.plain(address);
    }
    return new Target(address, credentials(), authority);
  }

  /** Stricter than gRPC, which escapes characters that are invalid in a name. */
  private static boolean isName(String authority) {
    try {
      return authority.equals(new URI("tls://" + authority).getRawAuthority())
          && !authority.contains("@")
          && !authority.contains("%");
    } catch (URISyntaxException e) {
      return false;
    }
  }

  private ChannelCredentials credentials() throws IOException {
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    try {
      if (ca != null) {
        AdvancedTlsX509TrustManager servers = AdvancedTlsX509TrustManager.newBuilder().build();
        servers.updateTrustCredentials(
            Pem.authorities(ca, line -> log.warn("{}", line)).toArray(new X509Certificate[0]));
        credentials.trustManager(servers);
      }
      if (cert != null && key != null) {
        Pem.Identity own = Pem.identity(cert, key, line -> log.warn("{}", line));
        AdvancedTlsX509KeyManager identity = new AdvancedTlsX509KeyManager();
        identity.updateIdentityCredentials(own.chain().toArray(new X509Certificate[0]), own.key());
        credentials.keyManager(identity);
      }
    } catch (GeneralSecurityException e) {
      throw new IOException("cannot create the TLS context: " + e.getMessage(), e);
    }
    return credentials.build();
  }
}
