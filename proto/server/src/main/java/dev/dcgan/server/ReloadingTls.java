package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.netty.GrpcSslContexts;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.ApplicationProtocolNegotiator;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSessionContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A TLS context that reloads its files when they change. New connections use the new files, even if
 * they would resume an older session; existing connections continue. The server's certificate and
 * key are reloaded independently of the client CAs. An invalid file, or a key that does not match
 * its certificate (because they are just being replaced), changes nothing and is logged once. A
 * background thread checks the files; any thread may start a connection.
 *
 * <p>gRPC's own key and trust managers can reload files too. But they would accept a key that does
 * not match the certificate, miss a change of only one file, log a stack trace at every check, and
 * resume sessions of clients whose CA was removed.
 */
final class ReloadingTls implements AutoCloseable {

  /** Who speaks over the connections. */
  enum Protocol {
    /** Requires a client certificate if there is a client CA. */
    GRPC("grpc", ClientAuth.REQUIRE),
    /** Asks for one, because probes have none; {@link AccessControl} requires it elsewhere. */
    HTTP("http", ClientAuth.OPTIONAL);

    private final String label;
    private final ClientAuth clientAuth;

    Protocol(String label, ClientAuth clientAuth) {
      this.label = label;
      this.clientAuth = clientAuth;
    }
  }

  private record Credentials(Pem.Identity identity, List<X509Certificate> clientCa) {}

  private static final Logger log = LoggerFactory.getLogger(ReloadingTls.class);

  private final ServerTls files;
  private final Protocol protocol;
  private final ScheduledExecutorService scheduler =
      Executors.newSingleThreadScheduledExecutor(Threads.named("tls"));

  // Mutable state
  @GuardedBy("this") private Credentials current;

  /** When {@link #context} was created, in {@link System#nanoTime}. */
  @GuardedBy("this") private long created;

  /** The warnings of the last reload. */
  @GuardedBy("this") private List<String> lastWarnings = List.of();

  @GuardedBy("this") private boolean closed;

  private volatile SslContext context;

  /**
   * Reads the files, and reloads them every {@link ServerTls#pollInterval}.
   *
   * @throws IOException if a file is invalid
   */
  ReloadingTls(ServerTls files, Protocol protocol) throws IOException {
    this.files = files;
    this.protocol = protocol;
    List<String> warnings = new ArrayList<>();
    current = new Credentials(readIdentity(warnings::add), readClientCa(warnings::add));
    context = createContext(current);
    created = System.nanoTime();
    logCertificate(current);
    logNewWarnings(warnings);
    long nanos = files.pollInterval().toNanos();
    var unused = scheduler.scheduleWithFixedDelay(this::reload, nanos, nanos, TimeUnit.NANOSECONDS);
  }

  /** Returns a context that starts each connection with the most recent files. */
  SslContext context() {
    return new SslContext() {
      @Override
      public boolean isClient() {
        return context.isClient();
      }

      @Override
      public List<String> cipherSuites() {
        return context.cipherSuites();
      }

      @Override
      @SuppressWarnings("deprecation") // Netty deprecates the method but still calls it.
      public ApplicationProtocolNegotiator applicationProtocolNegotiator() {
        return context.applicationProtocolNegotiator();
      }

      @Override
      public SSLEngine newEngine(ByteBufAllocator buffers) {
        return context.newEngine(buffers);
      }

      @Override
      public SSLEngine newEngine(ByteBufAllocator buffers, String host, int port) {
        return context.newEngine(buffers, host, port);
      }

      @Override
      public SSLSessionContext sessionContext() {
        return context.sessionContext();
      }
    };
  }

  /** Loads the files that have changed. */
  void reload() {
    List<String> warnings = new ArrayList<>();
    // After any exception the other files are reloaded nevertheless, and the next reload is made.
    Pem.@Nullable Identity identity = null;
    try {
      identity = readIdentity(warnings::add);
    } catch (IOException | RuntimeException e) {
      warnings.add(unchanged(e));
    }
    @Nullable List<X509Certificate> clientCa = null;
    try {
      clientCa = readClientCa(warnings::add);
    } catch (IOException | RuntimeException e) {
      warnings.add(unchanged(e));
    }
    apply(identity, clientCa, warnings);
  }

  /** Null: the files could not be read and the current credentials remain. */
  private synchronized void apply(
      Pem.@Nullable Identity identity,
      @Nullable List<X509Certificate> clientCa,
      List<String> warnings) {
    // Closing interrupts a read, which then says nothing about the file.
    if (closed) {
      return;
    }
    Credentials found =
        new Credentials(
            identity == null ? current.identity : identity,
            clientCa == null ? current.clientCa : clientCa);
    long now = System.nanoTime();
    boolean changed = !found.equals(current);
    try {
      if (changed || now - created >= files.sessionLifetime().toNanos()) {
        context = createContext(found);
        created = now;
      }
      if (changed) {
        current = found;
        logCertificate(found);
      }
    } catch (IOException | RuntimeException e) {
      warnings.add(unchanged(e));
    }
    logNewWarnings(warnings);
  }

  /** Stops reloading. A reload in progress changes and logs nothing. */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    scheduler.shutdownNow();
  }

  /**
   * Creates a context. There is a new one after each change and after each session lifetime,
   * because the JDK resumes sessions of the same context without verifying the client's certificate
   * again, even if that has expired. (The JDK's session timeout does not apply to session tickets.)
   *
   * <p>The context uses the JDK's TLS, which needs no native library.
   */
  private SslContext createContext(Credentials credentials) throws IOException {
    SslContextBuilder builder =
        SslContextBuilder.forServer(credentials.identity.key(), credentials.identity.chain());
    if (!credentials.clientCa.isEmpty()) {
      builder.trustManager(credentials.clientCa).clientAuth(protocol.clientAuth);
    }
    try {
      return protocol == Protocol.GRPC
          ? GrpcSslContexts.configure(builder, SslProvider.JDK).build()
          : builder.sslProvider(SslProvider.JDK).build();
    } catch (SSLException e) {
      throw new IOException("cannot create the TLS context: " + e.getMessage(), e);
    }
  }

  private Pem.Identity readIdentity(Consumer<String> warnings) throws IOException {
    return Pem.identity(files.certificates(), files.key(), warnings);
  }

  private List<X509Certificate> readClientCa(Consumer<String> warnings) throws IOException {
    Path clientCa = files.clientCa();
    return clientCa == null ? List.of() : Pem.authorities(clientCa, warnings);
  }

  private static String unchanged(Exception e) {
    return "TLS files are not reloaded: " + e.getMessage();
  }

  private synchronized void logNewWarnings(List<String> warnings) {
    for (String warning : warnings) {
      if (!lastWarnings.contains(warning)) {
        log.warn("{}", warning);
      }
    }
    lastWarnings = warnings;
  }

  private void logCertificate(Credentials credentials) {
    X509Certificate own = credentials.identity.chain().get(0);
    log.info(
        "TLS certificate loaded: subject={} valid_until={} client_certificates={} server={}",
        own.getSubjectX500Principal(),
        own.getNotAfter().toInstant(),
        credentials.clientCa.isEmpty() ? "optional" : "required",
        protocol.label);
  }
}
