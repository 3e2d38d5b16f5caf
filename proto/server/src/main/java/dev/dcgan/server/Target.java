package dev.dcgan.server;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * A server that a client calls.
 *
 * @param address {@code host:port}, or another name that gRPC resolves
 * @param credentials plain text or TLS
 * @param interceptors add the credential of the caller
 * @param authority the host name in the server's certificate, as validated by {@link
 *     ClientTlsOptions}; null: the host name of the address
 */
public record Target(
    String address,
    ChannelCredentials credentials,
    @Nullable String authority,
    List<ClientInterceptor> interceptors) {

  // gRPC's description if the server closed the connection without an error on our side.
  private static final String CLOSED = "Network closed for unknown reason";

  /** A server that is called without TLS. */
  public static Target plain(String address) {
    return new Target(address, InsecureChannelCredentials.create(), null, List.of());
  }

  /**
   * Creates a channel, which connects with the first call.
   *
   * @param builder creates a channel builder for an address and credentials
   * @throws IOException if the address is invalid
   */
  public ManagedChannel open(
      BiFunction<String, ChannelCredentials, ManagedChannelBuilder<?>> builder) throws IOException {
    ManagedChannelBuilder<?> channel = builder.apply(address, credentials).intercept(interceptors);
    if (authority != null) {
      channel.overrideAuthority(authority);
    }
    try {
      return channel.build(); // Here gRPC validates the address.
    } catch (IllegalArgumentException e) {
      throw new IOException(
          "'%s' is not a valid target (%s); expected host:port".formatted(address, e.getMessage()),
          e);
    }
  }

  /**
   * Converts the error of a call to an exception with a one-line message for operators.
   *
   * @param program the program that should run at the address, for example "a sampler"
   */
  public IOException toIOException(StatusException e, String program) {
    Status status = e.getStatus();
    List<Throwable> causes =
        Stream.iterate(status.getCause(), Objects::nonNull, Throwable::getCause).toList();
    boolean answered =
        status.getCode() != Status.Code.UNAVAILABLE
            || (causes.isEmpty() && !CLOSED.equals(status.getDescription()));
    if (answered) {
      return new IOException(
          "%s answered %s: %s".formatted(address, status.getCode(), status.getDescription()), e);
    }
    Throwable root = causes.isEmpty() ? new IOException(CLOSED) : causes.get(causes.size() - 1);
    String form = "%s closed the connection (%s)";
    if (root instanceof ConnectException || root instanceof UnknownHostException) {
      form = "cannot reach %s (%s); is " + program + " running there?";
    } else if (causes.stream().anyMatch(SSLException.class::isInstance)) {
      form =
          "cannot establish TLS with %s (%s); check --tls-ca and --tls-authority, and --tls-cert if"
              + " the server requires client certificates";
    } else if (credentials instanceof InsecureChannelCredentials) {
      form += "; if it uses TLS, give --tls or --tls-ca";
    }
    return new IOException(form.formatted(address, reason(root)), e);
  }

  /** Netty puts the system call before the reason. */
  private static String reason(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    int call = message.indexOf("): ");
    return call < 0 ? message : message.substring(call + 3);
  }
}
