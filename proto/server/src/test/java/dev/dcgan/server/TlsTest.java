package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.AdvancedTlsX509TrustManager;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSessionContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** A server and clients with their TLS options, over real sockets. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TlsTest {

  private static final Duration NEVER = Duration.ofHours(1);
  private static final Duration OFTEN = Duration.ofMillis(10);

  @TempDir private static Path made;
  private static Certificates certificates;

  @TempDir private Path folder;
  private final List<ManagedChannel> channels = new ArrayList<>();
  private @Nullable GrpcServer server;

  @BeforeAll
  static void makeCertificates() throws Exception {
    certificates = new Certificates(made);
    certificates.make("ca", "-ext", "bc:c");
    certificates.make("served", "-signer", "ca", "-ext", "san=dns:localhost");
    certificates.make("client", "-signer", "ca");
    certificates.make("stranger", "-ext", "san=dns:localhost");
    certificates.make("late", "-startdate", "-10d", "-validity", "5");
  }

  @AfterEach
  void end() {
    channels.forEach(ManagedChannel::shutdownNow);
    if (server != null) {
      server.close();
    }
  }

  @Test
  void aClientThatTrustsTheCa_isServed() throws Exception {
    serve(null, NEVER);
    assertServed("localhost", "--tls-ca", crt("ca"));
  }

  @Test
  void aClientInPlainText_isRefusedWithAHint() throws Exception {
    serve(null, NEVER);
    assertRefused(
        List.of("localhost:%d closed the connection (", "--tls or --tls-ca"), "localhost");
  }

  @Test
  void aClientThatTrustsOthers_doesNotCall() throws Exception {
    serve(null, NEVER);
    List<String> why =
        List.of("cannot establish TLS with localhost:%d (unable to find valid certification path");
    assertRefused(why, "localhost", "--tls-ca", crt("stranger"));
    assertRefused(why, "localhost", "--tls");
  }

  @Test
  void anotherHostName_isRefused_unlessAuthorityNamesIt() throws Exception {
    serve(null, NEVER);
    List<String> why =
        List.of(
            "cannot establish TLS with 127.0.0.1:%d (",
            "No subject alternative names matching IP address 127.0.0.1 found", "--tls-authority");
    assertRefused(why, "127.0.0.1", "--tls-ca", crt("ca"));
    assertServed("127.0.0.1", "--tls-ca", crt("ca"), "--tls-authority", "localhost");
  }

  @Test
  void aTlsClientOfAPlainTextServer_isRefused() throws Exception {
    server = GrpcServer.start(0, new FakeSampler(), new PrometheusRegistry());
    List<String> why = List.of("cannot establish TLS with localhost:%d (not an SSL/TLS record: ");
    assertRefused(why, "localhost", "--tls-ca", crt("ca"));
  }

  @Test
  void withAClientCa_onlyClientsThatItSignedAreServed() throws Exception {
    serve(certificates.crt("ca"), NEVER);
    List<String> why = List.of("cannot establish TLS with localhost:%d (", "--tls-cert");
    assertRefused(why, "localhost", "--tls-ca", crt("ca"));
    assertRefused(
        why,
        "localhost",
        "--tls-ca",
        crt("ca"),
        "--tls-cert",
        crt("stranger"),
        "--tls-key",
        key("stranger"));
    assertServed(
        "localhost",
        "--tls-ca",
        crt("ca"),
        "--tls-cert",
        crt("client"),
        "--tls-key",
        key("client"));
  }

  @Test
  void newFiles_areLoadedWhileOldConnectionsContinue() throws Exception {
    serve(null, OFTEN);
    ManagedChannel before = channel(target("localhost", "--tls-ca", crt("ca")));
    assertThat(call(before)).isEqualTo(5);

    // The files are replaced one after the other; in between they do not match.
    replace("stranger");

    while (!isServed("localhost", "--tls-ca", crt("stranger"))) {
      // The test's time limit bounds it.
    }
    assertThat(isServed("localhost", "--tls-ca", crt("ca"))).isFalse();
    assertThat(call(before)).isEqualTo(5);
  }

  @Test
  void aNewClientCa_isLoadedWithoutARestart() throws Exception {
    Path clientCa = folder.resolve("clients.crt");
    Files.copy(certificates.crt("stranger"), clientCa);
    serve(clientCa, OFTEN);
    String[] options = {
      "--tls-ca", crt("ca"), "--tls-cert", crt("client"), "--tls-key", key("client")
    };
    assertThat(isServed("localhost", options)).isFalse();

    Files.copy(certificates.crt("ca"), clientCa, StandardCopyOption.REPLACE_EXISTING);

    while (!isServed("localhost", options)) {
      // The test's time limit bounds it.
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.3", "TLSv1.2"})
  void aChangedClientCa_countsForResumedSessionsToo(String protocol) throws Exception {
    Path clientCa = folder.resolve("clients.crt");
    Files.copy(certificates.crt("ca"), clientCa);
    serve(clientCa, OFTEN);
    SSLContext client = contextOfClient();
    assertThat(isGreeted(client, protocol)).isTrue();
    assertThat(isGreeted(client, protocol)).isTrue();
    assertThat(connectionsOfASession(client)).as("the second resumed the first's").contains(2);

    Files.copy(certificates.crt("stranger"), clientCa, StandardCopyOption.REPLACE_EXISTING);
    String[] anew = {
      "--tls-ca", crt("ca"), "--tls-cert", crt("client"), "--tls-key", key("client")
    };
    while (isServed("localhost", anew)) {
      // The test's time limit bounds it.
    }
    assertThat(isGreeted(client, protocol)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.3", "TLSv1.2"})
  void aSession_isResumedForSoLongOnly(String protocol) throws Exception {
    place("served");
    server = start(certificates.crt("ca"), OFTEN, Duration.ZERO);
    SSLContext client = contextOfClient();
    int connections = 0;
    do {
      assertThat(isGreeted(client, protocol)).isTrue();
      connections++;
      // The test's time limit bounds it.
    } while (connectionsOfASession(client).contains(connections));
  }

  @Test
  void aDamagedFile_changesNothing_andIsNamed() throws Exception {
    serve(null, OFTEN);
    try (CapturedLog log = new CapturedLog(ReloadingTls.class)) {
      Files.writeString(folder.resolve("tls.crt"), "half of a certif");
      while (log.lines().isEmpty()) {
        TimeUnit.MILLISECONDS.sleep(1); // The test's time limit bounds it.
      }
      assertThat(log.lines().get(0)).startsWith("WARN ").contains(folder.resolve("tls.crt") + ": ");
    }
    assertServed("localhost", "--tls-ca", crt("ca"));
  }

  @Test
  void whatIsWrong_isLoggedOnceAChange() throws Exception {
    place("served");
    ServerTls files =
        new ServerTls(folder.resolve("tls.crt"), folder.resolve("tls.key"), null, NEVER, NEVER);
    try (CapturedLog log = new CapturedLog(ReloadingTls.class);
        ReloadingTls tls = new ReloadingTls(files, ReloadingTls.Protocol.GRPC)) {
      assertThat(log.lines())
          .singleElement()
          .asString()
          .startsWith("INFO TLS certificate loaded: subject=CN=served valid_until=");
      tls.reload();
      assertThat(log.lines()).as("nothing has changed").hasSize(1);

      Files.copy(certificates.key("client"), files.key(), StandardCopyOption.REPLACE_EXISTING);
      tls.reload();
      tls.reload();
      assertThat(log.lines())
          .hasSize(2)
          .last()
          .asString()
          .startsWith("WARN ")
          .contains(files.key() + ": ", "does not match", files.certificates().toString());

      Files.delete(files.key());
      tls.reload();
      tls.reload();
      assertThat(log.lines())
          .hasSize(3)
          .last()
          .asString()
          .startsWith("WARN ")
          .endsWith(files.key() + ": no such file");

      replace("stranger");
      tls.reload();
      assertThat(log.lines()).hasSize(4).last().asString().contains("CN=stranger");
    }
  }

  @Test
  void whoIsClosed_saysNothingMore() throws Exception {
    place("served");
    ServerTls files =
        new ServerTls(folder.resolve("tls.crt"), folder.resolve("tls.key"), null, NEVER, NEVER);
    ReloadingTls tls = new ReloadingTls(files, ReloadingTls.Protocol.GRPC);
    try (CapturedLog log = new CapturedLog(ReloadingTls.class)) {
      tls.close();
      Files.delete(files.key());
      tls.reload();
      replace("stranger");
      tls.reload();
      assertThat(log.lines()).isEmpty();
    }
  }

  @Test
  void anExpiredCertificateOfABundle_isIgnored() throws Exception {
    String late = Files.readString(certificates.crt("late"));
    Path clientCa = folder.resolve("clients.crt");
    Files.writeString(clientCa, late + Files.readString(certificates.crt("ca")));
    place("served");
    Files.writeString(folder.resolve("tls.crt"), late, StandardOpenOption.APPEND);
    String[] options = {
      "--tls-ca", clientCa.toString(), "--tls-cert", crt("client"), "--tls-key", key("client")
    };
    try (CapturedLog log = new CapturedLog(ReloadingTls.class);
        CapturedLog clientLog = new CapturedLog(ClientTlsOptions.class)) {
      server = start(clientCa, NEVER);
      assertServed("localhost", options);
      assertThat(log.lines())
          .hasSize(3)
          .anyMatch(line -> line.startsWith("WARN " + folder.resolve("tls.crt") + ": CN=late expi"))
          .last()
          .asString()
          .startsWith("WARN " + clientCa + ": CN=late expired at 20");
      assertThat(clientLog.lines())
          .singleElement()
          .asString()
          .startsWith("WARN " + clientCa + ": CN=late expired at 20");
    }
  }

  @Test
  void certificateAndClientCa_areTakenIndependently() throws Exception {
    place("served");
    Path clientCa = folder.resolve("clients.crt");
    Files.copy(certificates.crt("ca"), clientCa);
    ServerTls files =
        new ServerTls(folder.resolve("tls.crt"), folder.resolve("tls.key"), clientCa, NEVER, NEVER);
    String served = "INFO TLS certificate loaded: subject=CN=served";
    String stranger = "INFO TLS certificate loaded: subject=CN=stranger";
    String wrong = "WARN TLS files are not reloaded: ";
    try (CapturedLog log = new CapturedLog(ReloadingTls.class);
        ReloadingTls tls = new ReloadingTls(files, ReloadingTls.Protocol.GRPC)) {
      Files.copy(certificates.crt("late"), clientCa, StandardCopyOption.REPLACE_EXISTING);
      tls.reload();
      replace("stranger");
      tls.reload();
      assertStarts(log, served, wrong + clientCa + ": CN=late expired at ", stranger);

      Files.delete(files.key());
      Files.copy(certificates.crt("stranger"), clientCa, StandardCopyOption.REPLACE_EXISTING);
      tls.reload();
      tls.reload();
      assertStarts(
          log,
          served,
          wrong + clientCa + ": CN=late expired at ",
          stranger,
          stranger,
          wrong + files.key() + ": no such file");
    }
  }

  @Test
  void start_withAFileThatIsWrong_failsWithItsName() throws Exception {
    place("served");
    Files.delete(folder.resolve("tls.key"));
    assertThatIOException()
        .isThrownBy(() -> start(null, NEVER))
        .withMessage(folder.resolve("tls.key") + ": no such file");
  }

  private void serve(@Nullable Path clientCa, Duration poll) throws IOException {
    place("served");
    server = start(clientCa, poll);
  }

  private GrpcServer start(@Nullable Path clientCa, Duration poll) throws IOException {
    return start(clientCa, poll, NEVER);
  }

  private GrpcServer start(@Nullable Path clientCa, Duration poll, Duration sessions)
      throws IOException {
    ServerTls tls =
        new ServerTls(
            folder.resolve("tls.crt"), folder.resolve("tls.key"), clientCa, poll, sessions);
    return GrpcServer.start(
        new GrpcServer.Config(0, true, Duration.ZERO, tls),
        new PrometheusRegistry(),
        new ServingState(),
        new FakeSampler(),
        List.of());
  }

  private static void assertStarts(CapturedLog log, String... starts) {
    assertThat(log.lines())
        .zipSatisfy(List.of(starts), (line, start) -> assertThat(line).startsWith(start));
  }

  private void place(String name) throws IOException {
    Files.copy(certificates.crt(name), folder.resolve("tls.crt"));
    Files.copy(certificates.key(name), folder.resolve("tls.key"));
  }

  private void replace(String name) throws IOException {
    Files.copy(
        certificates.crt(name), folder.resolve("tls.crt"), StandardCopyOption.REPLACE_EXISTING);
    Files.copy(
        certificates.key(name), folder.resolve("tls.key"), StandardCopyOption.REPLACE_EXISTING);
  }

  /** The JDK's context, which offers to resume the session of its last connection. */
  private static SSLContext contextOfClient() throws Exception {
    AdvancedTlsX509TrustManager servers = AdvancedTlsX509TrustManager.newBuilder().build();
    servers.updateTrustCredentials(certificates.crt("ca").toFile());
    AdvancedTlsX509KeyManager identity = new AdvancedTlsX509KeyManager();
    identity.updateIdentityCredentials(
        certificates.crt("client").toFile(), certificates.key("client").toFile());
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(new KeyManager[] {identity}, new TrustManager[] {servers}, null);
    return context;
  }

  /** Whether the server starts HTTP/2. The session counts its connections. */
  private boolean isGreeted(SSLContext client, String protocol) throws IOException {
    try (Socket plain = new Socket("localhost", server().port());
        SSLSocket socket =
            (SSLSocket)
                client.getSocketFactory().createSocket(plain, "localhost", plain.getPort(), true)) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {protocol});
      parameters.setApplicationProtocols(new String[] {"h2"});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      Object before = socket.getSession().getValue("connections");
      socket.getSession().putValue("connections", before == null ? 1 : (int) before + 1);
      return socket.getInputStream().read() >= 0;
    } catch (SSLException | SocketException e) {
      return false;
    }
  }

  /** The number of connections of each session that the client could resume. */
  private static List<Object> connectionsOfASession(SSLContext client) {
    SSLSessionContext sessions = client.getClientSessionContext();
    return Collections.list(sessions.getIds()).stream()
        .map(id -> sessions.getSession(id).getValue("connections"))
        .toList();
  }

  private static String crt(String name) {
    return certificates.crt(name).toString();
  }

  private static String key(String name) {
    return certificates.key(name).toString();
  }

  private Target target(String host, String... options) throws IOException {
    ClientTlsOptions tls = new ClientTlsOptions();
    new CommandLine(tls).parseArgs(options);
    return tls.target(host + ":" + server().port());
  }

  private GrpcServer server() {
    return Objects.requireNonNull(server);
  }

  private ManagedChannel channel(Target target) throws IOException {
    ManagedChannel channel = target.open(Grpc::newChannelBuilder);
    channels.add(channel);
    return channel;
  }

  private static long call(ManagedChannel channel) throws StatusException {
    return SamplerServiceGrpc.newBlockingV2Stub(channel)
        .generate(FakeSampler.request(5))
        .getFirstIndex();
  }

  private void assertServed(String host, String... options) throws Exception {
    assertThat(call(channel(target(host, options)))).isEqualTo(5);
  }

  /**
   * Requires that the call fails.
   *
   * @param why parts of the error message; {@code %d} is the server's port
   */
  private void assertRefused(List<String> why, String host, String... options) throws Exception {
    Target target = target(host, options);
    ManagedChannel channel = channel(target);
    assertThatExceptionOfType(StatusException.class)
        .isThrownBy(() -> call(channel))
        .satisfies(
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
              assertThat(target.toIOException(e, "a sampler"))
                  .message()
                  .contains(why.stream().map(part -> part.formatted(server().port())).toList())
                  .doesNotContain("\n");
            });
  }

  private boolean isServed(String host, String... options) throws IOException {
    ManagedChannel channel = channel(target(host, options));
    try {
      return call(channel) == 5;
    } catch (StatusException e) {
      return false;
    } finally {
      channel.shutdownNow();
    }
  }
}
