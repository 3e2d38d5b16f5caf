package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import com.google.rpc.RetryInfo;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.StatusProto;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.stub.BlockingClientCall;
import io.grpc.stub.StreamObserver;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Both servers of a program with tokens, roles and certificates, over real sockets. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AccessControlTest {

  private static final Duration OFTEN = Duration.ofMillis(10);
  private static final Duration NEVER = Duration.ofHours(1);
  private static final String TOKEN = "a-token-of-alice";
  private static final byte[] LARGE = new byte[3 << 20];

  @TempDir private static Path made;
  private static Certificates certificates;

  @TempDir private Path folder;
  private final FakeSampler sampler = new FakeSampler();
  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final List<AutoCloseable> open = new ArrayList<>();
  private Path tokens;
  private @Nullable GrpcServer server;
  private @Nullable HttpEndpoint endpoint;

  @BeforeAll
  static void makeCertificates() throws Exception {
    certificates = new Certificates(made);
    certificates.make("ca", "-ext", "bc:c");
    certificates.make("served", "-signer", "ca", "-ext", "san=dns:localhost");
    certificates.make("client", "-signer", "ca");
    certificates.make("stranger");
  }

  @BeforeEach
  void name() {
    tokens = folder.resolve("tokens");
  }

  @AfterEach
  void end() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
  }

  @Test
  void tokens_allowWhatTheirRolesAllow() throws Exception {
    write("alice generate " + hash(TOKEN), "bob read " + hash("of-bob"), "root admin " + hash("r"));
    start(null, true, 0);
    assertThat(generate(TOKEN)).isEqualTo(5);
    assertThat(generate("r")).isEqualTo(5);
    assertThat(code(() -> generate("of-bob"))).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(code(() -> generate("another"))).isEqualTo(Status.Code.UNAUTHENTICATED);
    assertThat(code(() -> generate(null))).isEqualTo(Status.Code.UNAUTHENTICATED);
    // Allowed, but FakeSampler does not have it.
    assertThat(code(() -> list("of-bob"))).isEqualTo(Status.Code.UNIMPLEMENTED);
  }

  @Test
  void health_isOpen_andReflectionNeedsACredential() throws Exception {
    write("bob train " + hash("of-bob"));
    start(null, true, 0);
    assertThat(
            HealthGrpc.newBlockingV2Stub(channel(null))
                .check(HealthCheckRequest.getDefaultInstance())
                .getStatusValue())
        .isEqualTo(1);
    assertThat(reflect("of-bob")).isTrue();
    assertThat(code(() -> reflect(null))).isEqualTo(Status.Code.UNAUTHENTICATED);
  }

  @Test
  void reflection_canBeSwitchedOff() throws Exception {
    start(null, false, 0);
    assertThat(code(() -> reflect(null))).isEqualTo(Status.Code.UNIMPLEMENTED);
  }

  @ParameterizedTest
  @CsvSource({
    "/healthz, , 200",
    "/metrics, , 401",
    "/metrics, Bearer of-bob, 200",
    "/metrics, Bearer another, 401",
    "/metrics, Digest of-bob, 401",
    "/metrics, Basic !, 401",
    "/metrics, Bearer a-token-of-alice, 403",
    "/v1/images, Bearer a-token-of-alice, 200",
    "/v1/images, Bearer of-bob, 403"
  })
  void httpPaths_needTheirRole(String path, @Nullable String header, int code) throws Exception {
    write("alice generate " + hash(TOKEN), "bob read " + hash("of-bob"));
    start(null, true, 0);
    HttpResponse<byte[]> response = get(http(), "http", path, header);
    assertThat(response.statusCode()).isEqualTo(code);
    assertThat(response.headers().firstValue("WWW-Authenticate").isPresent())
        .isEqualTo(code == 401);
  }

  @Test
  void aBrowsersPassword_isTheToken_andSharedCachesKeepNothing() throws Exception {
    write("alice generate " + hash(TOKEN));
    start(null, true, 0);
    String basic =
        Base64.getEncoder().encodeToString(("me:" + TOKEN).getBytes(StandardCharsets.UTF_8));
    HttpResponse<byte[]> response = get(http(), "http", "/v1/images", "Basic " + basic);
    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.headers().firstValue("Cache-Control")).contains("private, max-age=60");
  }

  @Test
  void aChangedFile_isReloaded_andADamagedOneChangesNothing() throws Exception {
    write("alice generate " + hash(TOKEN));
    try (CapturedLog log = new CapturedLog(AccessControl.class)) {
      start(null, true, 0);
      write("alice wrong " + hash(TOKEN));
      while (log.lines().isEmpty()) {
        Thread.onSpinWait();
      }
      assertThat(log.lines()).hasSize(1).first().asString().contains("line 1: role 'wrong'");
      assertThat(generate(TOKEN)).isEqualTo(5);
    }
    write("alice generate " + hash("a-new-one"));
    while (code(() -> generate(TOKEN)) == null) {
      Thread.onSpinWait();
    }
    assertThat(generate("a-new-one")).isEqualTo(5);
  }

  @Test
  void refusals_areCounted_andLoggedOnce() throws Exception {
    write("alice generate " + hash(TOKEN));
    try (CapturedLog log = new CapturedLog(AccessControl.class)) {
      start(null, true, 0);
      for (int i = 0; i < 20; i++) {
        assertThat(code(() -> generate("wrong"))).isEqualTo(Status.Code.UNAUTHENTICATED);
      }
      assertThat(get(http(), "http", "/metrics", "Bearer " + TOKEN).statusCode()).isEqualTo(403);
      assertThat(log.lines())
          .hasSize(1)
          .first()
          .asString()
          .startsWith("WARN access denied: server=grpc call=\"dcgan.v1.SamplerService/Generate\"")
          .contains("reason=unauthenticated")
          .doesNotContain("wrong");
    }
    write("bob read " + hash("of-bob"));
    String metrics = "";
    while (metrics.isEmpty()) {
      HttpResponse<byte[]> response = get(http(), "http", "/metrics", "Bearer of-bob");
      metrics =
          response.statusCode() == 200 ? new String(response.body(), StandardCharsets.UTF_8) : "";
    }
    assertThat(metrics)
        .contains(
            "access_denied_total{reason=\"unauthenticated\",server=\"grpc\"} 20.0",
            "access_denied_total{reason=\"permission_denied\",server=\"http\"} 1.0",
            "access_denied_total{reason=\"max_calls\",server=\"http\"} 0.0");
  }

  @Test
  void callsBeyondThoseOfACaller_areRefused_otherCallersAreNot() throws Exception {
    write("alice generate " + hash(TOKEN), "bob generate " + hash("of-bob"));
    start(null, true, 1);
    var held =
        SamplerServiceGrpc.newFutureStub(channel(TOKEN))
            .generate(FakeSampler.request(FakeSampler.HELD));
    StreamObserver<GenerateResponse> answer = sampler.held.take();
    assertThatExceptionOfType(StatusException.class)
        .isThrownBy(() -> generate(TOKEN))
        .satisfies(
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
              assertThat(
                      Objects.requireNonNull(StatusProto.fromThrowable(e))
                          .getDetails(0)
                          .is(RetryInfo.class))
                  .isTrue();
            });
    assertThat(get(http(), "http", "/v1/images", "Bearer " + TOKEN).statusCode()).isEqualTo(429);
    assertThat(generate("of-bob")).isEqualTo(5);
    FakeSampler.answer(7, answer);
    assertThat(held.get().getFirstIndex()).isEqualTo(7);
    // The client may hear of the end first.
    while (code(() -> generate(TOKEN)) != null) {
      Thread.onSpinWait();
    }
  }

  @Test
  void http_isEncrypted_alsoLargeBodiesAndFiles() throws Exception {
    start(tls(false), true, 0);
    HttpClient client = https(false);
    assertThat(get(client, "https", "/v1/images", null).body()).isEqualTo(LARGE);
    assertThat(get(client, "https", "/v1/runs/a/file", null).body()).isEqualTo(LARGE);
    assertThat(get(client, "https", "/metrics", null).statusCode()).isEqualTo(200);
    assertThatIOException().isThrownBy(() -> get(http(), "http", "/healthz", null));
  }

  @Test
  void withAClientCa_httpNeedsACertificate_exceptForHealth() throws Exception {
    start(tls(true), true, 0);
    assertThat(get(https(false), "https", "/healthz", null).statusCode()).isEqualTo(200);
    assertThat(get(https(false), "https", "/readyz", null).statusCode()).isEqualTo(503);
    assertThat(get(https(false), "https", "/metrics", null).statusCode()).isEqualTo(401);
    assertThat(get(https(true), "https", "/metrics", null).statusCode()).isEqualTo(200);
  }

  @Test
  void certificateSubjects_haveTheRolesOfTheFile() throws Exception {
    write("me read subject:cn=CLIENT", "alice generate " + hash(TOKEN));
    start(tls(true), true, 0);
    assertThat(get(https(true), "https", "/metrics", null).statusCode()).isEqualTo(200);
    assertThat(get(https(true), "https", "/v1/images", null).statusCode()).isEqualTo(403);
    // A token comes before the certificate.
    assertThat(get(https(true), "https", "/v1/images", "Bearer " + TOKEN).statusCode())
        .isEqualTo(200);
    String[] own = {
      "--tls-ca", certificates.crt("ca").toString(),
      "--tls-cert", certificates.crt("client").toString(),
      "--tls-key", certificates.key("client").toString()
    };
    assertThat(code(() -> generate(null, own))).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(generate(TOKEN, own)).isEqualTo(5);
  }

  @Test
  void aPathWithoutARole_isNotServed() throws Exception {
    write("alice generate " + hash(TOKEN));
    AccessControl access = AccessControl.start(config(true, 0), null, registry);
    open.add(access);
    assertThatIllegalStateException()
        .isThrownBy(
            () ->
                HttpEndpoint.start(
                    new InetSocketAddress(0),
                    registry,
                    Map.of("/v2/new", call -> {}),
                    Set.of(),
                    null,
                    access))
        .withMessageContaining("/v2/new");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"alice generate", "a b c", "a generate sha256:12", "alice read subject:CN", ""})
  void invalidFiles_areReported(String line) throws Exception {
    write(line);
    assertThatIOException()
        .isThrownBy(() -> AccessControl.start(config(true, 0), null, registry))
        .withMessageContaining("expected");
  }

  @ParameterizedTest
  @CsvSource({
    "localhost:1, true",
    "127.0.0.1:1, true",
    "dns:///localhost:1, true",
    "unix:/tmp/socket, true",
    "10.0.0.1:1, false",
    "localhost.example.org:1, false"
  })
  void aToken_isNotSentInPlainTextToAnotherMachine(String target, boolean isSent) throws Exception {
    Path file = Files.writeString(folder.resolve("token"), TOKEN + "\n");
    ClientTlsOptions options = new ClientTlsOptions();
    new CommandLine(options).parseArgs("--token-file", file.toString());
    if (isSent) {
      assertThat(options.target(target).interceptors()).hasSize(1);
    } else {
      assertThatIOException()
          .isThrownBy(() -> options.target(target))
          .withMessageContaining("--insecure-token");
    }
    for (String consent : List.of("--insecure-token", "--tls")) {
      ClientTlsOptions other = new ClientTlsOptions();
      new CommandLine(other).parseArgs("--token-file", file.toString(), consent);
      assertThat(other.target(target).interceptors()).hasSize(1);
    }
  }

  @ParameterizedTest
  @CsvSource({"localhost, '', true", "0.0.0.0, '', false", "0.0.0.0, --insecure, true"})
  void plainText_isServedToOtherMachinesOnlyOnRequest(
      String address, String further, boolean isValid) {
    AccessOptions options = new AccessOptions();
    List<String> args = new ArrayList<>(List.of("--address", address));
    if (!further.isEmpty()) {
      args.add(further);
    }
    new CommandLine(options).parseArgs(args.toArray(String[]::new));
    Validator validator = new Validator();
    options.check(validator);
    if (isValid) {
      assertThat(validator.errors()).isEmpty();
      InetAddress listening = options.config().address();
      assertThat(Objects.requireNonNull(listening).isLoopbackAddress())
          .isEqualTo(address.equals("localhost"));
    } else {
      assertThat(validator.errors()).singleElement().asString().contains(address, "--insecure");
    }
  }

  private void write(String... lines) throws IOException {
    Path next = Files.write(folder.resolve("next"), List.of(lines));
    Files.move(next, tokens, StandardCopyOption.REPLACE_EXISTING);
  }

  private static String hash(String token) throws Exception {
    byte[] hash =
        MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    return "sha256:" + HexFormat.of().formatHex(hash);
  }

  private AccessConfig config(boolean reflection, int maxCalls) {
    return new AccessConfig(
        InetAddress.getLoopbackAddress(),
        null,
        Files.exists(tokens) ? tokens : null,
        reflection,
        maxCalls);
  }

  private static ServerTls tls(boolean mutual) {
    return new ServerTls(
        certificates.crt("served"),
        certificates.key("served"),
        mutual ? certificates.crt("ca") : null,
        NEVER,
        NEVER);
  }

  private void start(@Nullable ServerTls tls, boolean reflection, int maxCalls) throws Exception {
    AccessControl access = AccessControl.start(config(reflection, maxCalls), tls, registry, OFTEN);
    open.add(access);
    server =
        GrpcServer.start(
            new GrpcServer.Config(0, true, Duration.ZERO, tls, GrpcLimits.DEFAULT, access),
            registry,
            new ServingState(),
            sampler,
            List.of());
    open.add(server);
    Path file = Files.write(folder.resolve("file"), LARGE);
    HttpPage images =
        call -> {
          call.header("Cache-Control", "public, max-age=60");
          call.send(200, LARGE);
        };
    endpoint =
        HttpEndpoint.start(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            registry,
            Map.of("/v1/images", images, "/v1/runs/*", call -> call.sendFile(file)),
            Set.of(),
            tls,
            access);
    open.add(endpoint);
  }

  private ManagedChannel channel(@Nullable String token, String... options) throws IOException {
    ClientTlsOptions client = new ClientTlsOptions();
    List<String> args = new ArrayList<>(List.of(options));
    if (token != null) {
      Path file = Files.writeString(Files.createTempFile(folder, "token", ""), token);
      args.addAll(List.of("--token-file", file.toString()));
    }
    new CommandLine(client).parseArgs(args.toArray(String[]::new));
    int port = Objects.requireNonNull(server).port();
    ManagedChannel channel = client.target("localhost:" + port).open(Grpc::newChannelBuilder);
    open.add(channel::shutdownNow);
    return channel;
  }

  private long generate(@Nullable String token, String... options) throws Exception {
    ManagedChannel channel = channel(token, options);
    try {
      return SamplerServiceGrpc.newBlockingV2Stub(channel)
          .generate(FakeSampler.request(5))
          .getFirstIndex();
    } finally {
      channel.shutdownNow();
    }
  }

  private boolean list(String token) throws Exception {
    return SamplerServiceGrpc.newBlockingV2Stub(channel(token))
        .listModels(ListModelsRequest.getDefaultInstance())
        .isInitialized();
  }

  private boolean reflect(@Nullable String token) throws Exception {
    BlockingClientCall<ServerReflectionRequest, ?> call =
        ServerReflectionGrpc.newBlockingV2Stub(channel(token)).serverReflectionInfo();
    call.write(ServerReflectionRequest.newBuilder().setListServices("").build());
    call.halfClose();
    return call.read() != null;
  }

  private interface Call {
    Object make() throws Exception;
  }

  /** The code that a call fails with; null: it succeeds. */
  private static Status.@Nullable Code code(Call call) throws Exception {
    try {
      call.make();
      return null;
    } catch (StatusException e) {
      return e.getStatus().getCode();
    }
  }

  private static HttpClient http() {
    return HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  }

  private static HttpClient https(boolean withCertificate) throws Exception {
    AdvancedTlsX509TrustManager servers = AdvancedTlsX509TrustManager.newBuilder().build();
    servers.updateTrustCredentials(certificates.crt("ca").toFile());
    AdvancedTlsX509KeyManager identity = new AdvancedTlsX509KeyManager();
    if (withCertificate) {
      identity.updateIdentityCredentials(
          certificates.crt("client").toFile(), certificates.key("client").toFile());
    }
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(
        withCertificate ? new KeyManager[] {identity} : null, new TrustManager[] {servers}, null);
    return HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(context).build();
  }

  private HttpResponse<byte[]> get(
      HttpClient client, String scheme, String path, @Nullable String header) throws Exception {
    int port = Objects.requireNonNull(endpoint).port();
    URI uri = URI.create("%s://localhost:%d%s".formatted(scheme, port, path));
    HttpRequest.Builder request = HttpRequest.newBuilder(uri);
    if (header != null) {
      request.header("Authorization", header);
    }
    return client.send(request.build(), BodyHandlers.ofByteArray());
  }
}
