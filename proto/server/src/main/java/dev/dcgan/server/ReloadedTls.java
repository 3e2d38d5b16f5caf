package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.netty.buffer.ByteBufAllocator;
import io.grpc.netty.shaded.io.netty.handler.ssl.ApplicationProtocolNegotiator;
import io.grpc.netty.shaded.io.netty.handler.ssl.ClientAuth;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContext;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslProvider;
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
 * TLS that follows its files: connections that are made after a change get what is new, also where
 * they would resume an older one's session, and those that stand go on. The server's certificate
 * with its key, and the clients' authorities, are taken independently: what is wrong, or does not
 * belong together (because it is just being replaced), changes nothing of its own and is named in
 * the log, once. A thread of its own looks at the files; any thread may begin a connection.
 *
 * <p>gRPC's managers can watch files too, but would take a key that is not the certificate's, miss
 * a change of one file alone, log a stack at every look, and resume sessions of clients whose
 * authority is gone.
 */
final class ReloadedTls implements AutoCloseable {

  private record Credentials(Pem.Identity identity, List<X509Certificate> clientCa) {}

  private static final Logger log = LoggerFactory.getLogger(ReloadedTls.class);

  private final ServerTls files;
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(Threads.named("tls"));

  // Mutable state
  @GuardedBy("this") private Credentials current;

  /** When {@link #newest} was made, in {@link System#nanoTime}. */
  @GuardedBy("this") private long made;

  /** What the last look found wrong. */
  @GuardedBy("this") private List<String> trouble = List.of();

  @GuardedBy("this") private boolean closed;

  private volatile SslContext newest;

  /**
   * Reads the files, and again every {@link ServerTls#poll}.
   *
   * @throws IOException one of them is wrong
   */
  ReloadedTls(ServerTls files) throws IOException {
    this.files = files;
    List<String> leftOut = new ArrayList<>();
    current = new Credentials(readIdentity(leftOut::add), readClientCa(leftOut::add));
    newest = context(current);
    made = System.nanoTime();
    tell(current);
    warnOfNew(leftOut);
    long nanos = files.poll().toNanos();
    var unused = watch.scheduleWithFixedDelay(this::look, nanos, nanos, TimeUnit.NANOSECONDS);
  }

  /** Begins each connection with what is newest. */
  SslContext context() {
    return new SslContext() {
      @Override
      public boolean isClient() {
        return newest.isClient();
      }

      @Override
      public List<String> cipherSuites() {
        return newest.cipherSuites();
      }

      @Override
      @SuppressWarnings("deprecation") // By Netty, which still asks for it.
      public ApplicationProtocolNegotiator applicationProtocolNegotiator() {
        return newest.applicationProtocolNegotiator();
      }

      @Override
      public SSLEngine newEngine(ByteBufAllocator buffers) {
        return newest.newEngine(buffers);
      }

      @Override
      public SSLEngine newEngine(ByteBufAllocator buffers, String host, int port) {
        return newest.newEngine(buffers, host, port);
      }

      @Override
      public SSLSessionContext sessionContext() {
        return newest.sessionContext();
      }
    };
  }

  /** Takes what has changed. */
  void look() {
    List<String> wrong = new ArrayList<>();
    // Whatever it was, the rest is taken and the next look is made.
    Pem.@Nullable Identity identity = null;
    try {
      identity = readIdentity(wrong::add);
    } catch (IOException | RuntimeException e) {
      wrong.add(goesOn(e));
    }
    @Nullable List<X509Certificate> clientCa = null;
    try {
      clientCa = readClientCa(wrong::add);
    } catch (IOException | RuntimeException e) {
      wrong.add(goesOn(e));
    }
    take(identity, clientCa, wrong);
  }

  /** Null: that could not be read, and stays. */
  private synchronized void take(
      Pem.@Nullable Identity identity,
      @Nullable List<X509Certificate> clientCa,
      List<String> wrong) {
    // A read that the end interrupted says nothing of the file.
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
      if (changed || now - made >= files.sessions().toNanos()) {
        newest = context(found);
        made = now;
      }
      if (changed) {
        current = found;
        tell(found);
      }
    } catch (IOException | RuntimeException e) {
      wrong.add(goesOn(e));
    }
    warnOfNew(wrong);
  }

  /** Ends the looks; one under way changes nothing and says nothing any more. */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    watch.shutdownNow();
  }

  /**
   * A context of its own for each change, and now and then: the JDK resumes a session without
   * another look at the client's certificate, though that may have expired, but only a session of
   * the same context. (Its time limit for sessions does not count for those that clients keep as
   * tickets.)
   *
   * <p>It is the JDK's TLS: no library is unpacked for it, as for BoringSSL, gRPC's default.
   */
  private static SslContext context(Credentials credentials) throws IOException {
    SslContextBuilder builder =
        SslContextBuilder.forServer(credentials.identity.key(), credentials.identity.chain());
    if (!credentials.clientCa.isEmpty()) {
      builder.trustManager(credentials.clientCa).clientAuth(ClientAuth.REQUIRE);
    }
    try {
      return GrpcSslContexts.configure(builder, SslProvider.JDK).build();
    } catch (SSLException e) {
      throw new IOException("TLS cannot be had of this JDK: " + e.getMessage(), e);
    }
  }

  private Pem.Identity readIdentity(Consumer<String> leftOut) throws IOException {
    return Pem.identity(files.certificates(), files.key(), leftOut);
  }

  private List<X509Certificate> readClientCa(Consumer<String> leftOut) throws IOException {
    Path clientCa = files.clientCa();
    return clientCa == null ? List.of() : Pem.authorities(clientCa, leftOut);
  }

  private static String goesOn(Exception e) {
    return "TLS goes on with what it has: " + e.getMessage();
  }

  private synchronized void warnOfNew(List<String> lines) {
    for (String line : lines) {
      if (!trouble.contains(line)) {
        log.warn("{}", line);
      }
    }
    trouble = lines;
  }

  private static void tell(Credentials taken) {
    X509Certificate own = taken.identity.chain().get(0);
    log.info(
        "TLS with the certificate of {}, valid until {}{}",
        own.getSubjectX500Principal(),
        own.getNotAfter().toInstant(),
        taken.clientCa.isEmpty() ? "" : "; clients must show theirs");
  }
}
