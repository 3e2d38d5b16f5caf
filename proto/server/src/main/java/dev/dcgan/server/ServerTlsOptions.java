package dev.dcgan.server;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options by which a program serves gRPC over TLS. */
public final class ServerTlsOptions {

  // Kubernetes itself takes about as long to bring a changed Secret into a pod.
  private static final Duration POLL = Duration.ofMinutes(1);
  private static final Duration SESSIONS = Duration.ofMinutes(5);

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description =
          "PEM: the server's certificate, then those that vouch for it. With --tls-key, gRPC is"
              + " served over TLS; the files are read again when they change.")
  private @Nullable Path cert;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "PEM, PKCS#8: the certificate's private key.")
  private @Nullable Path key;

  @Option(
      names = "--tls-client-ca",
      paramLabel = "FILE",
      description = "PEM: clients must show a certificate that one of these vouches for.")
  private @Nullable Path clientCa;

  /** Adds a line for each file that is missing or wrong. */
  public void check(Problems problems) {
    Pem.checkIdentity(problems, cert, key);
    problems.require(
        clientCa == null || cert != null || key != null,
        "--tls-client-ca needs --tls-cert and --tls-key: without TLS no client shows a certificate");
    if (clientCa != null) {
      Path file = clientCa;
      problems.requireReads("--tls-client-ca", () -> Pem.authorities(file, Pem.UNTOLD));
    }
  }

  /** Null where none of the options is given: plain text. */
  public @Nullable ServerTls tls() {
    return cert == null || key == null ? null : new ServerTls(cert, key, clientCa, POLL, SESSIONS);
  }
}
