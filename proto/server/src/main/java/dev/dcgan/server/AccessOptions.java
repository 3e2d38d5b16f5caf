package dev.dcgan.server;

import dev.dcgan.server.access.Credentials;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of who may reach and call the servers of a program. */
public final class AccessOptions {

  private static final Logger log = LoggerFactory.getLogger(AccessOptions.class);
  private static final int MAX_CALLS = 1_000_000;

  @Option(
      names = "--address",
      description =
          "Address that gRPC and HTTP listen on; 0.0.0.0: all of the machine's. Other than loopback"
              + " requires TLS or --insecure.")
  private String address = "localhost";

  @Option(
      names = "--probe-port",
      paramLabel = "PORT",
      description =
          "Port of /healthz, /readyz and /metrics alone, which stay fast while clients flood the"
              + " HTTP port; 0: any free port. Default: none")
  private @Nullable Integer probePort;

  @Option(
      names = "--insecure",
      description = "Serve plain text, without TLS, on addresses that other machines reach.")
  private boolean insecure;

  @Mixin private ServerTlsOptions tls = new ServerTlsOptions();

  @Option(
      names = "--tokens",
      paramLabel = "FILE",
      description =
          "Callers with their roles, one a line: NAME ROLES sha256:HASH or subject:SUBJECT. Without"
              + " it everyone may do everything. The file is reloaded when it changes.")
  private @Nullable Path tokens;

  @Option(
      names = "--max-calls-per-caller",
      paramLabel = "N",
      description =
          "Maximum concurrent calls of one caller (token, certificate or else address); 0: no"
              + " limit.")
  private int maxCalls;

  @Option(names = "--no-reflection", description = "Serve gRPC without reflection.")
  private boolean noReflection;

  /** Reports each invalid option. */
  public void check(Validator validator) {
    if (probePort != null) {
      validator.requirePort("--probe-port", probePort);
    }
    tls.check(validator);
    validator.requireRange("--max-calls-per-caller", maxCalls, 0, MAX_CALLS);
    if (tokens != null) {
      Path file = tokens;
      validator.requireReadable("--tokens", () -> Credentials.read(file));
    }
    try {
      checkAddress(validator, "--address " + address, address());
    } catch (UnknownHostException e) {
      validator.add("--address '%s': not an address of this machine".formatted(address));
    }
  }

  /** Requires that plain text is served to other machines only if that was requested. */
  public void checkAddress(Validator validator, String option, InetAddress listening) {
    validator.require(
        insecure || listening.isLoopbackAddress() || tls.tls() != null,
        option
            + ": other machines reach it, and nothing is encrypted; give --tls-cert and --tls-key,"
            + " or --insecure");
  }

  /** Returns the valid options. */
  public AccessConfig config() {
    try {
      InetAddress listening = address();
      logExposure("gRPC and HTTP", listening);
      return new AccessConfig(listening, probePort, tokens, !noReflection, maxCalls);
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e); // It has been resolved before.
    }
  }

  /** Logs what is not protected on an address that other machines reach. */
  public void logExposure(String servers, InetAddress listening) {
    logExposure(servers, listening, tls() != null, tokens != null);
  }

  /** As the other method, of a program that has other options. */
  public static void logExposure(
      String servers, InetAddress listening, boolean encrypted, boolean authenticated) {
    if (listening.isLoopbackAddress()) {
      return;
    }
    String address = listening.getHostAddress();
    if (!encrypted) {
      log.warn("plain text: no encryption of {} (--insecure) address={}", servers, address);
    }
    if (!authenticated) {
      log.info("no --tokens: whoever reaches {} may call everything address={}", servers, address);
    }
  }

  /** Returns the TLS files, or null for plain text. */
  public @Nullable ServerTls tls() {
    return tls.tls();
  }

  private InetAddress address() throws UnknownHostException {
    return InetAddress.getByName(address);
  }
}
