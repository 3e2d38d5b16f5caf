package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The validation of TLS files at start. */
class TlsOptionsTest {

  @TempDir private static Path made;
  private static Certificates certificates;

  @TempDir private Path folder;

  @BeforeAll
  static void makeCertificates() throws Exception {
    certificates = new Certificates(made);
    certificates.make("one");
    certificates.make("two", "-keyalg", "RSA");
    certificates.make("late", "-startdate", "-10d", "-validity", "5");
  }

  @Test
  void rightFiles_areTaken() throws Exception {
    Serve serve = new Serve();
    assertThat(run(serve, "--tls-cert", crt("one"), "--tls-key", key("one"))).isEmpty();
    assertThat(serve.tls.tls())
        .isNotNull()
        .returns(certificates.crt("one"), ServerTls::certificates)
        .returns(certificates.key("one"), ServerTls::key)
        .returns(null, ServerTls::clientCa);
    assertThat(
            run(
                serve,
                "--tls-cert",
                crt("two"),
                "--tls-key",
                key("two"),
                "--tls-client-ca",
                crt("one")))
        .isEmpty();
    assertThat(serve.tls.tls()).isNotNull().returns(certificates.crt("one"), ServerTls::clientCa);
  }

  @Test
  void withoutFiles_itIsPlainText() throws Exception {
    Serve serve = new Serve();
    assertThat(run(serve)).isEmpty();
    assertThat(serve.tls.tls()).isNull();
  }

  @Test
  void environmentVariables_nameThemToo() {
    Serve serve = new Serve();
    StringWriter err = new StringWriter();
    int exit =
        Settings.run(
            serve,
            Map.of("DCGAN_TLS_CERT", crt("one"), "DCGAN_TLS_KEY", key("one")),
            new PrintWriter(err, true));
    assertThat(exit).as(err.toString()).isZero();
    assertThat(serve.tls.tls()).isNotNull();
  }

  @Test
  void allFilesThatAreWrong_areReportedAtOnce() throws Exception {
    Path cut = folder.resolve("cut.crt");
    Files.writeString(cut, Files.readString(certificates.crt("one")).substring(0, 200));
    Path none = folder.resolve("none.key");
    assertThat(
            run(
                new Serve(),
                "--tls-cert",
                cut.toString(),
                "--tls-key",
                none.toString(),
                "--tls-client-ca",
                folder.toString()))
        .hasSize(3)
        .anyMatch(line -> line.startsWith("--tls-cert " + cut + ": a certificate is damaged ("))
        .contains("--tls-key " + none + ": no such file")
        .anyMatch(line -> line.startsWith("--tls-client-ca " + folder + ": "));
  }

  @Test
  void aKeyOfAnotherCertificate_isRefused() throws Exception {
    for (List<String> pair :
        List.of(List.of("one", "two"), List.of("two", "one"), List.of("one", "late"))) {
      String key = key(pair.get(1));
      String crt = crt(pair.get(0));
      assertThat(run(new Serve(), "--tls-cert", crt, "--tls-key", key))
          .singleElement()
          .asString()
          .startsWith("--tls-key " + key + ": ")
          .contains("does not match", crt);
    }
  }

  @Test
  void anExpiredCertificate_isRefused() throws Exception {
    assertThat(run(new Serve(), "--tls-cert", crt("late"), "--tls-key", key("late")))
        .singleElement()
        .asString()
        .startsWith("--tls-cert " + crt("late") + ": CN=late expired at 20");
  }

  @Test
  void expiredCertificates_areIgnored_unlessFirstInAChain() throws Exception {
    String late = Files.readString(certificates.crt("late"));
    String one = Files.readString(certificates.crt("one"));
    String lateFirst = Files.writeString(folder.resolve("late-first.crt"), late + one).toString();
    String oneFirst = Files.writeString(folder.resolve("one-first.crt"), one + late).toString();

    List<String> serve = List.of("--tls-cert", oneFirst, "--tls-key", key("one"));
    assertThat(run(new Serve(), with(serve, "--tls-client-ca", lateFirst))).isEmpty();
    assertThat(run(new Call(), with(serve, "--tls-ca", lateFirst))).isEmpty();

    assertThat(run(new Serve(), with(serve, "--tls-client-ca", crt("late"))))
        .singleElement()
        .asString()
        .startsWith("--tls-client-ca " + crt("late") + ": CN=late expired at 20");
    assertThat(run(new Call(), "--tls-ca", crt("late")))
        .singleElement()
        .asString()
        .startsWith("--tls-ca " + crt("late") + ": CN=late expired at 20");
    assertThat(run(new Serve(), "--tls-cert", lateFirst, "--tls-key", key("late")))
        .singleElement()
        .asString()
        .startsWith("--tls-cert " + lateFirst + ": CN=late expired at 20");
  }

  @Test
  void aKeyInAnotherFormat_isRefused_withWhatToDo() throws Exception {
    Path rsa = folder.resolve("rsa.key");
    Files.writeString(
        rsa, Files.readString(certificates.key("two")).replace(" PRIVATE", " RSA PRIVATE"));
    assertThat(run(new Serve(), "--tls-cert", crt("two"), "--tls-key", rsa.toString()))
        .singleElement()
        .asString()
        .startsWith("--tls-key " + rsa + ": ")
        .contains("PKCS#8", "openssl pkcs8 -topk8 -nocrypt");

    Path noise = folder.resolve("noise.key");
    Files.writeString(
        noise,
        "-----BEGIN PRIVATE KEY-----\nnoise\n-----END PRIVATE KEY-----\n",
        StandardCharsets.US_ASCII);
    assertThat(run(new Serve(), "--tls-cert", crt("two"), "--tls-key", noise.toString()))
        .singleElement()
        .asString()
        .startsWith("--tls-key " + noise + ": ")
        .contains("damaged", "expected RSA or EC");

    assertThat(run(new Serve(), "--tls-cert", crt("two"), "--tls-key", crt("two")))
        .singleElement()
        .asString()
        .startsWith("--tls-key " + crt("two") + ": ")
        .contains("'BEGIN PRIVATE KEY'");
    assertThat(run(new Serve(), "--tls-cert", key("two"), "--tls-key", key("two")))
        .singleElement()
        .asString()
        .startsWith("--tls-cert " + key("two"));
  }

  @Test
  void optionsThatBelongTogether_areRequired() throws Exception {
    assertNamesBoth(run(new Serve(), "--tls-cert", crt("one")));
    assertNamesBoth(run(new Serve(), "--tls-key", key("one")));
    List<String> clientCa = run(new Serve(), "--tls-client-ca", crt("one"));
    assertNamesBoth(clientCa);
    assertThat(clientCa.get(0)).startsWith("--tls-client-ca ");
    assertNamesBoth(run(new Call(), "--tls", "--tls-key", key("one")));
  }

  @Test
  void aClientsFiles_areCheckedToo() throws Exception {
    assertThat(
            run(
                new Call(),
                "--tls-ca",
                key("one"),
                "--tls-cert",
                crt("one"),
                "--tls-key",
                key("two"),
                "--tls-authority="))
        .hasSize(3)
        .anyMatch(line -> line.startsWith("--tls-ca " + key("one")))
        .anyMatch(line -> line.startsWith("--tls-key " + key("two")) && line.endsWith(crt("one")))
        .anyMatch(line -> line.startsWith("--tls-authority '': expected "));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"a b", "me@there", "me%40there", "there/path", "https://there", "[there", " "})
  void anAuthorityThatIsNone_isBlamedOnItsOption(String authority) throws Exception {
    assertThat(run(new Call(), "--tls-authority", authority))
        .singleElement()
        .asString()
        .startsWith("--tls-authority '" + authority + "': expected ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"there", "there:443", "over_there", "::1", "[::1]", "127.0.0.1"})
  void anAuthority_isTaken(String authority) throws Exception {
    Call call = new Call();
    assertThat(run(call, "--tls-authority", authority)).isEmpty();
    ManagedChannel channel = call.tls.target("localhost:1").open(Grpc::newChannelBuilder);
    try {
      assertThat(channel.authority()).isEqualTo(authority);
    } finally {
      channel.shutdownNow();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a b", "there:port", "://", "dns:///a b", "dns:///"})
  void anAddressThatIsNone_isBlamedOnTheTarget(String address) {
    Target target =
        new Target(
            address, InsecureChannelCredentials.create(), "the.name.in.the.certificate", List.of());
    assertThatIOException()
        .isThrownBy(() -> target.open(Grpc::newChannelBuilder).shutdownNow())
        .withMessageStartingWith("'" + address + "' is not a valid target (")
        .withMessageEndingWith("); expected host:port");
  }

  @Test
  void aClientWithoutAnyOfThem_callsInPlainText() throws Exception {
    Call call = new Call();
    assertThat(run(call)).isEmpty();
    assertThat(call.tls.target("there:1").credentials())
        .isInstanceOf(InsecureChannelCredentials.class);
    for (String option : List.of("--tls", "--tls-ca=" + crt("one"), "--tls-authority=there")) {
      Call overTls = new Call();
      assertThat(run(overTls, option)).isEmpty();
      assertThat(overTls.tls.target("there:1").credentials())
          .as(option)
          .isInstanceOf(TlsChannelCredentials.class);
    }
  }

  private static void assertNamesBoth(List<String> wrong) {
    assertThat(wrong).singleElement().asString().contains("--tls-cert", "--tls-key");
  }

  private static String[] with(List<String> options, String... more) {
    return Stream.concat(options.stream(), Stream.of(more)).toArray(String[]::new);
  }

  private static String crt(String name) {
    return certificates.crt(name).toString();
  }

  private static String key(String name) {
    return certificates.key(name).toString();
  }

  /** Returns what is wrong, by line; where nothing is, the command has run. */
  private static List<String> run(Settings.Command program, String... args) {
    StringWriter err = new StringWriter();
    int exit = Settings.run(program, Map.of(), new PrintWriter(err, true), args);
    List<String> wrong =
        err.toString()
            .lines()
            .filter(line -> line.startsWith("error: "))
            .map(line -> line.substring("error: ".length()))
            .toList();
    assertThat(exit).as(err.toString()).isEqualTo(wrong.isEmpty() ? 0 : 2);
    return wrong;
  }

  @Command(name = "serve")
  private static final class Serve implements Settings.Command {
    @Mixin private ServerTlsOptions tls = new ServerTlsOptions();

    @Override
    public void check(Validator validator) {
      tls.check(validator);
    }

    @Override
    public Integer call() {
      return 0;
    }
  }

  @Command(name = "call")
  private static final class Call implements Settings.Command {
    @Mixin private ClientTlsOptions tls = new ClientTlsOptions();

    @Override
    public void check(Validator validator) {
      tls.check(validator);
    }

    @Override
    public Integer call() {
      return 0;
    }
  }
}
