package dev.dcgan.server;

import io.grpc.ChannelCredentials;
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
 * @param address {@code host:port}, or any other name that gRPC resolves
 * @param credentials plain text or TLS
 * @param authority the name that the server's certificate is for, one that {@link ClientTlsOptions}
 *     has checked; null: that of the address
 */
public record Target(String address, ChannelCredentials credentials, @Nullable String authority) {

  // gRPC's, where the other side closed the connection and nothing failed on ours.
  private static final String CLOSED = "Network closed for unknown reason";

  /** A server that is called in plain text. */
  public static Target plain(String address) {
    return new Target(address, InsecureChannelCredentials.create(), null);
  }

  /**
   * Prepares to call; connects with the first call.
   *
   * @param builder makes the builder of a channel from address and credentials
   * @throws IOException the address is none
   */
  public ManagedChannel open(
      BiFunction<String, ChannelCredentials, ManagedChannelBuilder<?>> builder) throws IOException {
    ManagedChannelBuilder<?> channel = builder.apply(address, credentials);
    if (authority != null) {
      channel.overrideAuthority(authority);
    }
    try {
      return channel.build(); // What gRPC says of an address, it says here.
    } catch (IllegalArgumentException e) {
      throw new IOException(
          "'%s' is no target (%s); expected host:port".formatted(address, e.getMessage()), e);
    }
  }

  /**
   * What went wrong with a call, in one line.
   *
   * @param program what should run there, as in "does %s run there?"
   */
  public IOException told(StatusException e, String program) {
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
    String form = "%s hung up (%s)";
    if (root instanceof ConnectException || root instanceof UnknownHostException) {
      form = "cannot reach %s (%s); does " + program + " run there?";
    } else if (causes.stream().anyMatch(SSLException.class::isInstance)) {
      form =
          "no TLS with %s (%s); see --tls-ca and --tls-authority, and --tls-cert for a server"
              + " that wants one";
    } else if (credentials instanceof InsecureChannelCredentials) {
      form += "; if it speaks TLS, give --tls or --tls-ca";
    }
    return new IOException(form.formatted(address, reason(root)), e);
  }

  /** Netty puts the system call before the reason, and the address after it. */
  private static String reason(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    int call = message.indexOf("): ");
    return call < 0 ? message : message.substring(call + 3);
  }
}
