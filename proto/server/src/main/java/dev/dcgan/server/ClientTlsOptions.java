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

/** The options by which a client speaks TLS; any of them asks for it. */
public final class ClientTlsOptions {

  private static final Logger log = LoggerFactory.getLogger(ClientTlsOptions.class);

  @Option(
      names = "--tls",
      description = "Speak TLS, with a server that an authority on the JDK's list vouches for.")
  private boolean tls;

  @Option(
      names = "--tls-ca",
      paramLabel = "FILE",
      description = "PEM: speak TLS, with a server that one of these certificates vouches for.")
  private @Nullable Path ca;

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description = "PEM: the client's certificate, for servers that want one; with --tls-key.")
  private @Nullable Path cert;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "PEM, PKCS#8: the certificate's private key.")
  private @Nullable Path key;

  @Option(
      names = "--tls-authority",
      paramLabel = "NAME",
      description =
          "The name that the server's certificate is for, where it is not the one of --target, as"
              + " through a forwarded port.")
  private @Nullable String authority;

  /** Adds a line for each option that is wrong. */
  public void check(Problems problems) {
    if (ca != null) {
      Path file = ca;
      problems.requireReads("--tls-ca", () -> Pem.authorities(file, Pem.UNTOLD));
    }
    Pem.checkIdentity(problems, cert, key);
    problems.require(
        authority == null || isName(authority),
        "--tls-authority '%s': expected the name in the server's certificate, and nothing else"
            .formatted(authority));
  }

  /**
   * The server to call.
   *
   * @param address {@code host:port}, or any other name that gRPC resolves
   * @throws IOException a file cannot be read, or is wrong
   */
  public Target target(String address) throws IOException {
    if (!tls && ca == null && cert == null && key == null && authority == null) {
      return Target.plain(address);
    }
    return new Target(address, credentials(), authority);
  }

  /** Stricter than gRPC, which escapes what cannot be in a name, and calls. */
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
      throw new IOException("TLS cannot be had of this JDK: " + e.getMessage(), e);
    }
    return credentials.build();
  }
}
