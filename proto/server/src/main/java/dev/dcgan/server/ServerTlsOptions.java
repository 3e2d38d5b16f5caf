package dev.dcgan.server;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The TLS options of the servers of a program. */
public final class ServerTlsOptions {

  // Kubernetes takes about as long to update a mounted Secret.
  private static final Duration POLL_INTERVAL = Duration.ofMinutes(1);
  private static final Duration SESSION_LIFETIME = Duration.ofMinutes(5);

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description =
          "PEM: the server's certificate chain, its own certificate first. Enables TLS for gRPC and"
              + " HTTP; requires --tls-key. The files are reloaded when they change.")
  private @Nullable Path cert;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "PEM, PKCS#8: the private key of --tls-cert.")
  private @Nullable Path key;

  @Option(
      names = "--tls-client-ca",
      paramLabel = "FILE",
      description =
          "PEM: require client certificates (mTLS) signed by one of these CAs; over HTTP except for"
              + " /healthz and /readyz.")
  private @Nullable Path clientCa;

  /** Reports each missing or invalid file. */
  public void check(Validator validator) {
    Pem.checkIdentity(validator, cert, key);
    validator.require(
        clientCa == null || cert != null || key != null,
        "--tls-client-ca requires TLS; give --tls-cert and --tls-key");
    if (clientCa != null) {
      Path file = clientCa;
      validator.requireReadable("--tls-client-ca", () -> Pem.authorities(file, Pem.NO_WARNINGS));
    }
  }

  /** Returns the TLS configuration, or null for plain text if none of the options is given. */
  public @Nullable ServerTls tls() {
    return cert == null || key == null
        ? null
        : new ServerTls(cert, key, clientCa, POLL_INTERVAL, SESSION_LIFETIME);
  }
}
