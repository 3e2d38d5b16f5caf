package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.netty.handler.ssl.ClientAuth;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContext;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslProvider;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * TLS that follows its files: connections that are made after a change get what is new, those that
 * stand go on. Files that are wrong, or do not belong together (because they are just being
 * replaced), change nothing and are named in the log, once. A thread of its own looks at them.
 *
 * <p>gRPC's managers can watch files too, but would take a key that is not the certificate's, miss
 * a change of one file alone, and log a stack at every look.
 */
final class ReloadedTls implements AutoCloseable {

  private record Credentials(Pem.Identity identity, List<X509Certificate> clientCa) {}

  private static final Logger log = LoggerFactory.getLogger(ReloadedTls.class);

  private final ServerTls files;
  private final AdvancedTlsX509KeyManager identity = new AdvancedTlsX509KeyManager();
  private final AdvancedTlsX509TrustManager clients;
  private final SslContext context;
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(Threads.named("tls"));

  // Mutable state
  @GuardedBy("this") private @Nullable Credentials current;

  /** What the last look failed by; empty: it did not. */
  @GuardedBy("this") private String trouble = "";

  /**
   * Reads the files, and again every {@link ServerTls#poll}.
   *
   * @throws IOException one of them is wrong
   */
  ReloadedTls(ServerTls files) throws IOException {
    this.files = files;
    try {
      clients = AdvancedTlsX509TrustManager.newBuilder().build();
      take(read());
      context = context(identity, files.clientCa() == null ? null : clients);
    } catch (GeneralSecurityException e) {
      throw new IOException("TLS cannot be had of this JDK: " + e.getMessage(), e);
    }
    long nanos = files.poll().toNanos();
    var unused = watch.scheduleWithFixedDelay(this::look, nanos, nanos, TimeUnit.NANOSECONDS);
  }

  SslContext context() {
    return context;
  }

  /** Takes what has changed. */
  synchronized void look() {
    try {
      Credentials found = read();
      if (!found.equals(current)) {
        take(found);
      }
      trouble = "";
    } catch (IOException | GeneralSecurityException | RuntimeException e) {
      // Whatever it was, the next look is made.
      String message = "TLS goes on with what it has: " + e.getMessage();
      if (!message.equals(trouble)) {
        log.warn("{}", message);
      }
      trouble = message;
    }
  }

  @Override
  public void close() {
    watch.shutdownNow();
  }

  /**
   * It is the JDK's TLS: gRPC's default, BoringSSL, goes on telling clients of the authorities that
   * it was started with, so that those of a new one do not show their certificates. Nor is a
   * library unpacked for it.
   */
  private static SslContext context(
      AdvancedTlsX509KeyManager identity, @Nullable AdvancedTlsX509TrustManager clients)
      throws SSLException {
    SslContextBuilder builder =
        GrpcSslContexts.configure(SslContextBuilder.forServer(identity), SslProvider.JDK);
    if (clients != null) {
      builder.trustManager(clients).clientAuth(ClientAuth.REQUIRE);
    }
    return builder.build();
  }

  private Credentials read() throws IOException {
    Path clientCa = files.clientCa();
    return new Credentials(
        Pem.identity(files.certificates(), files.key()),
        clientCa == null ? List.of() : Pem.certificates(clientCa));
  }

  private synchronized void take(Credentials found) throws IOException, GeneralSecurityException {
    clients.updateTrustCredentials(found.clientCa.toArray(new X509Certificate[0]));
    List<X509Certificate> chain = found.identity.chain();
    identity.updateIdentityCredentials(chain.toArray(new X509Certificate[0]), found.identity.key());
    current = found;
    log.info(
        "TLS with the certificate of {}, valid until {}{}",
        chain.get(0).getSubjectX500Principal(),
        chain.get(0).getNotAfter().toInstant(),
        found.clientCa.isEmpty() ? "" : "; clients must show theirs");
  }
}
