package dev.dcgan.server;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Option;

/** How a client connects: TLS, which each {@code --tls} option enables, and its token. */
public final class ClientTlsOptions {

  private static final Pattern LOOPBACK =
      Pattern.compile("(unix:.*|([a-z]+:///)?(localhost|127(\\.[0-9]{1,3}){3}|\\[::1])(:[0-9]+)?)");
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

  @Option(
      names = "--token-file",
      paramLabel = "FILE",
      description =
          "File with the token of --tokens of the server, on one line. Sent to another machine only"
              + " over TLS, or with --insecure-token.")
  private @Nullable Path tokenFile;

  @Option(
      names = "--insecure-token",
      description = "Send the token to another machine without TLS, too.")
  private boolean insecureToken;

  /** Reports each invalid option. */
  public void check(Validator validator) {
    if (ca != null) {
      Path file = ca;
      validator.requireReadable("--tls-ca", () -> Pem.authorities(file, Pem.NO_WARNINGS));
    }
    Pem.checkIdentity(validator, cert, key);
    if (tokenFile != null) {
      Path file = tokenFile;
      validator.requireReadable("--token-file", () -> token(file));
    }
    validator.require(
        authority == null || isName(authority),
        "--tls-authority '%s': expected only the host name in the server's certificate"
            .formatted(authority));
  }

  /**
   * Returns the server to call.
   *
   * @param address {@code host:port}, or another name that gRPC resolves
   * @throws IOException if a file cannot be read or is invalid, or the token would be sent in plain
   *     text
   */
  public Target target(String address) throws IOException {
    boolean plain = !tls && ca == null && cert == null && key == null && authority == null;
    if (plain && tokenFile != null && !insecureToken && !LOOPBACK.matcher(address).matches()) {
      throw new IOException(
          "%s is not on this machine and TLS is off, so others could read the token; give --tls or"
                  .formatted(address)
              + " --tls-ca, or --insecure-token");
    }
    return new Target(
        address,
        plain ? InsecureChannelCredentials.create() : credentials(),
        authority,
        tokenFile == null ? List.of() : List.of(bearer(token(tokenFile))));
  }

  private static String token(Path file) throws IOException {
    String token;
    try {
      token = Files.readString(file, StandardCharsets.ISO_8859_1).strip();
    } catch (IOException e) {
      throw new IOException(file + ": cannot read the file; expected a token on one line", e);
    }
    if (!token.matches("[!-~]{1,4096}")) {
      throw new IOException(file + ": expected a token on one line, without spaces");
    }
    return token;
  }

  private static ClientInterceptor bearer(String token) {
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    return MetadataUtils.newAttachHeadersInterceptor(headers);
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
