package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.access.AccessRules;
import dev.dcgan.server.access.Caller;
import dev.dcgan.server.access.Credentials;
import dev.dcgan.server.access.Role;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Admits the calls of both servers of a program: finds out who calls, whether {@link AccessRules}
 * let them, and how many calls they have already. Thread-safe.
 *
 * <p>Roles are enforced if there is a file of tokens, or a client CA. Without the file, a
 * certificate is enough for everything. The file is reloaded when it changes; an invalid one
 * changes nothing and is logged once. Refusals are counted, and logged as {@link LimitedLog}
 * allows.
 */
public final class AccessControl implements AutoCloseable {

  // Why calls are refused, as the metric names it.
  private static final String UNAUTHENTICATED = "unauthenticated";
  private static final String PERMISSION_DENIED = "permission_denied";
  private static final String MAX_CALLS = "max_calls";

  private static final Logger log = LoggerFactory.getLogger(AccessControl.class);
  private static final Duration POLL_INTERVAL = Duration.ofSeconds(10);
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final String BEARER = "Bearer ";
  private static final Context.Key<Caller> CALLER = Context.key("caller");
  private static final Set<Role> NOBODY_ELSE = Set.of(Role.ADMIN);

  private final AccessConfig config;
  private final boolean requiresCertificate;
  private final @Nullable Counter denied;
  private final @Nullable ScheduledExecutorService poll;
  private final LimitedLog limited = new LimitedLog(System::nanoTime);

  // Mutable state
  private volatile @Nullable Credentials credentials;

  @GuardedBy("this") private String lastWarning = "";

  /** Calls by caller; no entry: none. */
  @GuardedBy("active") private final Map<Object, Integer> active = new HashMap<>();

  private AccessControl(
      AccessConfig config, boolean requiresCertificate, @Nullable Counter denied, Duration interval)
      throws IOException {
    this.config = config;
    this.requiresCertificate = requiresCertificate;
    this.denied = denied;
    Path tokens = config.tokens();
    if (tokens == null) {
      poll = null;
      return;
    }
    credentials = Credentials.read(tokens);
    poll = Executors.newSingleThreadScheduledExecutor(Threads.named("tokens"));
    long nanos = interval.toNanos();
    var unused =
        poll.scheduleWithFixedDelay(() -> reload(tokens), nanos, nanos, TimeUnit.NANOSECONDS);
  }

  /** Everyone may do everything. */
  static AccessControl open(boolean requiresCertificate) {
    try {
      return new AccessControl(AccessConfig.OPEN, requiresCertificate, null, POLL_INTERVAL);
    } catch (IOException e) {
      throw new IllegalStateException(e); // It reads no file.
    }
  }

  /**
   * The access control of a program.
   *
   * @param tls with a client CA, callers need a certificate, over HTTP too
   * @throws IOException the file of tokens is invalid
   */
  public static AccessControl start(
      AccessConfig config, @Nullable ServerTls tls, PrometheusRegistry registry)
      throws IOException {
    return start(config, tls, registry, POLL_INTERVAL);
  }

  static AccessControl start(
      AccessConfig config,
      @Nullable ServerTls tls,
      PrometheusRegistry registry,
      Duration pollInterval)
      throws IOException {
    Counter denied =
        Counter.builder()
            .name("access_denied_total")
            .help("Calls that were refused because of their credential, role or number.")
            .labelNames("server", "reason")
            .register(registry);
    for (String server : List.of("grpc", "http")) { // There before the first one.
      for (String reason : List.of(UNAUTHENTICATED, PERMISSION_DENIED, MAX_CALLS)) {
        denied.initLabelValues(server, reason);
      }
    }
    return new AccessControl(config, requiresCertificate(tls), denied, pollInterval);
  }

  static boolean requiresCertificate(@Nullable ServerTls tls) {
    return tls != null && tls.clientCa() != null;
  }

  AccessConfig config() {
    return config;
  }

  /** Whether callers need roles. */
  private boolean isEnforced() {
    return requiresCertificate || config.tokens() != null;
  }

  private boolean admitsAll() {
    return !isEnforced() && config.maxCalls() == 0;
  }

  /**
   * Who makes the current gRPC call, or the HTTP request that the current thread serves.
   *
   * @return empty roles are never returned: where none are enforced, everyone has all
   */
  public static Caller caller() {
    Caller caller = CALLER.get();
    return caller == null ? Caller.anonymous("") : caller;
  }

  /**
   * Stands for the caller of the current call, over gRPC or HTTP: equal for calls of one caller,
   * also if some are over gRPC and others over HTTP.
   */
  public static String callerKey() {
    Caller caller = CALLER.get();
    return caller != null && caller.authenticated()
        ? caller.name()
        : CallConnection.current().address();
  }

  /** A context in which a request over HTTP is served. */
  static Context contextOf(Caller caller, ClientConnection connection) {
    return CallConnection.with(Context.current(), connection).withValue(CALLER, caller);
  }

  /** The verified certificate of a TLS session; null: there is none. */
  static @Nullable X509Certificate certificate(@Nullable SSLSession session) {
    try {
      Certificate[] chain = session == null ? new Certificate[0] : session.getPeerCertificates();
      return chain.length > 0 && chain[0] instanceof X509Certificate own ? own : null;
    } catch (SSLPeerUnverifiedException e) {
      return null;
    }
  }

  /** A call that was admitted, until it is closed. */
  final class Admission implements AutoCloseable {

    private final Caller caller;
    private final @Nullable Object counted;
    private final AtomicBoolean closed = new AtomicBoolean();

    private Admission(Caller caller, @Nullable Object counted) {
      this.caller = caller;
      this.counted = counted;
    }

    Caller caller() {
      return caller;
    }

    @Override
    public void close() {
      if (counted != null && closed.compareAndSet(false, true)) {
        synchronized (active) {
          active.computeIfPresent(counted, (key, calls) -> calls == 1 ? null : calls - 1);
        }
      }
    }
  }

  /** What is known of a call. */
  record Request(
      String server,
      String what,
      Set<Role> needed,
      @Nullable String token,
      @Nullable X509Certificate certificate,
      @Nullable SocketAddress peer) {}

  /**
   * Admits a call.
   *
   * @throws StatusRuntimeException UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED
   */
  Admission admit(Request request) {
    if (request.needed.isEmpty() || admitsAll()) {
      return new Admission(Caller.anonymous(""), null);
    }
    try {
      Caller caller = authenticate(request);
      if (!caller.hasAny(request.needed)) {
        throw Errors.permissionDenied(
            "%s: %s has the roles %s; expected %s or admin"
                .formatted(
                    request.what,
                    caller.name(),
                    labels(caller.roles()),
                    labels(request.needed).replace(", admin", "")));
      }
      return new Admission(caller, count(request, caller));
    } catch (StatusRuntimeException e) {
      refused(request, e.getStatus());
      throw e;
    }
  }

  private Caller authenticate(Request request) {
    X509Certificate certificate = request.certificate;
    Credentials known = credentials;
    if (known == null) {
      if (requiresCertificate && certificate == null) {
        throw Errors.unauthenticated("no client certificate; expected one (mTLS)");
      }
      return requiresCertificate && certificate != null
          ? new Caller(certificate.getSubjectX500Principal().getName(), NOBODY_ELSE, true)
          : Caller.anonymous("");
    }
    if (request.token != null) {
      return known
          .byToken(request.token)
          .orElseThrow(() -> Errors.unauthenticated("the token is not valid; expected another"));
    }
    if (certificate != null) {
      return known
          .bySubject(certificate.getSubjectX500Principal())
          .orElseThrow(
              () ->
                  Errors.unauthenticated(
                      "the certificate of %s has no roles here; expected another, or a token"
                          .formatted(certificate.getSubjectX500Principal().getName())));
    }
    throw Errors.unauthenticated(
        "no credential; expected a token, as authorization: Bearer TOKEN or by --token-file");
  }

  private @Nullable Object count(Request request, Caller caller) {
    if (config.maxCalls() == 0) {
      return null;
    }
    Object key = caller.authenticated() ? caller.name() : ClientConnection.address(request.peer);
    synchronized (active) {
      int calls = active.merge(key, 1, Integer::sum);
      if (calls <= config.maxCalls()) {
        return key;
      }
      active.put(key, calls - 1);
    }
    throw Errors.overloaded(
        "%d calls of this caller are active; expected at most that many (--max-calls-per-caller)"
            .formatted(config.maxCalls()),
        RETRY_AFTER);
  }

  private void refused(Request request, Status status) {
    String reason =
        switch (status.getCode()) {
          case UNAUTHENTICATED -> UNAUTHENTICATED;
          case PERMISSION_DENIED -> PERMISSION_DENIED;
          default -> MAX_CALLS;
        };
    if (denied != null) {
      denied.labelValues(request.server, reason).inc();
    }
    OptionalLong unlogged = limited.next();
    if (unlogged.isEmpty()) {
      return;
    }
    log.warn(
        "access denied: server={} call=\"{}\" address={} reason={} message=\"{}\" unlogged={}",
        request.server,
        request.what,
        ClientConnection.address(request.peer),
        reason,
        status.getDescription(),
        unlogged.getAsLong());
  }

  private void reload(Path file) {
    String warning = "";
    try {
      credentials = Credentials.read(file);
    } catch (IOException | RuntimeException e) {
      warning = "tokens are not reloaded: " + e.getMessage();
    }
    synchronized (this) {
      if (!warning.isEmpty() && !warning.equals(lastWarning)) {
        log.warn("{}", warning);
      }
      lastWarning = warning;
    }
  }

  /** Requires a rule for each method of a service, if roles are enforced. */
  void requireRules(ServerServiceDefinition service) {
    for (ServerMethodDefinition<?, ?> method : service.getMethods()) {
      String name = method.getMethodDescriptor().getFullMethodName();
      requireRule(AccessRules.method(name).isPresent(), name);
    }
  }

  /** Requires a rule for a path, if roles are enforced. */
  void requireRules(String path, HttpPage page) {
    requireRule(AccessRules.path(false, path).isPresent(), path);
    requireRule(page.maxBody() == 0 || AccessRules.path(true, path).isPresent(), "POST " + path);
  }

  private void requireRule(boolean exists, String what) {
    if (!exists && isEnforced()) {
      throw new IllegalStateException(what + " has no role; add it to AccessRules");
    }
  }

  /** Admits each gRPC call, before its request is read. */
  ServerInterceptor interceptor() {
    return new ServerInterceptor() {
      @Override
      public <Q, A> ServerCall.Listener<Q> interceptCall(
          ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
        if (admitsAll()) {
          return next.startCall(call, headers);
        }
        Admission admission;
        try {
          admission = admit(request(call, headers));
        } catch (StatusRuntimeException e) {
          Metadata trailers = e.getTrailers();
          call.close(e.getStatus(), trailers == null ? new Metadata() : trailers);
          return new ServerCall.Listener<>() {};
        }
        try {
          CallLog.identify(admission.caller);
          Context context = Context.current().withValue(CALLER, admission.caller);
          return closing(admission, Contexts.interceptCall(context, call, headers, next));
        } catch (RuntimeException | Error e) {
          admission.close();
          throw e;
        }
      }
    };
  }

  private static Request request(ServerCall<?, ?> call, Metadata headers) {
    String method = call.getMethodDescriptor().getFullMethodName();
    String header = headers.get(AUTHORIZATION);
    return new Request(
        "grpc",
        method,
        AccessRules.method(method).orElse(NOBODY_ELSE),
        header == null ? null : bearer(header),
        certificate(call.getAttributes().get(Grpc.TRANSPORT_ATTR_SSL_SESSION)),
        call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR));
  }

  /** The token of an Authorization header; one of another scheme is no valid token. */
  static String bearer(String header) {
    return header.regionMatches(true, 0, BEARER, 0, BEARER.length())
        ? header.substring(BEARER.length()).strip()
        : "";
  }

  private static <Q> ServerCall.Listener<Q> closing(
      Admission admission, ServerCall.Listener<Q> listener) {
    if (admission.counted == null) {
      return listener;
    }
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onComplete() {
        admission.close();
        super.onComplete();
      }

      @Override
      public void onCancel() {
        admission.close();
        super.onCancel();
      }
    };
  }

  private static String labels(Set<Role> roles) {
    return roles.stream().sorted().map(Role::label).collect(Collectors.joining(", "));
  }

  /** Stops reloading. */
  @Override
  public void close() {
    if (poll != null) {
      poll.shutdownNow();
    }
  }
}
