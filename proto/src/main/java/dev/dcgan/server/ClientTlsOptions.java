package dev.dcgan.server;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options by which a client speaks TLS; any of them asks for it. */
public final class ClientTlsOptions {

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
      problems.requireReads("--tls-ca", () -> Pem.certificates(file));
    }
    Pem.checkIdentity(problems, cert, key);
    problems.require(
        authority == null || !authority.isBlank(),
        "--tls-authority is empty: expected the name in the server's certificate");
  }

  /**
   * The server to call.
   *
   * @param address {@code host:port}, or any other name that gRPC resolves
   * @throws IOException a file cannot be read
   */
  public Target target(String address) throws IOException {
    if (!tls && ca == null && cert == null && key == null && authority == null) {
      return Target.plain(address);
    }
    return new Target(address, credentials(), authority);
  }

  private ChannelCredentials credentials() throws IOException {
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    if (ca != null) {
      credentials.trustManager(ca.toFile());
    }
    if (cert != null && key != null) {
      credentials.keyManager(cert.toFile(), key.toFile());
    }
    return credentials.build();
  }
}
