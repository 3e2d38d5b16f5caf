package dev.dcgan.server;

import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigurationException;
import java.io.IOException;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Traces, which are sent as the variables {@code OTEL_...} say (OpenTelemetry specification, SDK
 * environment variables); without any, nothing is traced and nothing is sent.
 *
 * <p>What is traced asks {@link #tracer}, also where nothing is: spans then cost next to nothing.
 */
public final class Tracing implements AutoCloseable {

  private static final String VARIABLES = "OTEL_";
  private static final String SCOPE = "dev.dcgan";

  private static volatile boolean on;

  private final @Nullable OpenTelemetrySdk sdk;

  private Tracing(@Nullable OpenTelemetrySdk sdk) {
    this.sdk = sdk;
  }

  /**
   * Turns tracing on if a variable asks for it; to be called once, before anything is traced.
   *
   * @param service the name of the service, unless OTEL_SERVICE_NAME has another
   * @throws IOException a variable is invalid
   */
  public static Tracing start(String service) throws IOException {
    return start(service, System.getenv());
  }

  private static Tracing start(String service, Map<String, String> environment) throws IOException {
    if (environment.keySet().stream().noneMatch(name -> name.startsWith(VARIABLES))) {
      return new Tracing(null);
    }
    try {
      OpenTelemetrySdk sdk =
          AutoConfiguredOpenTelemetrySdk.builder()
              .addPropertiesSupplier(
                  () ->
                      Map.of(
                          "otel.service.name", service,
                          "otel.exporter.otlp.protocol", "http/protobuf",
                          // Prometheus scrapes the metrics, and the log is on stderr.
                          "otel.metrics.exporter", "none",
                          "otel.logs.exporter", "none"))
              .setResultAsGlobal()
              .build()
              .getOpenTelemetrySdk();
      on = true;
      return new Tracing(sdk);
    } catch (ConfigurationException e) {
      Throwable reason = e.getCause() == null ? e : e.getCause();
      throw new IOException("variables OTEL_...: " + reason.getMessage(), e);
    }
  }

  /** Makes spans; those of a program that traces nothing go nowhere. */
  public static Tracer tracer() {
    return GlobalOpenTelemetry.getTracer(SCOPE);
  }

  /** Whether anything is traced. */
  public static boolean isOn() {
    return on;
  }

  /** The time of the system's clock at a past time of {@link System#nanoTime}. */
  public static Instant instant(long nanoTime) {
    return Instant.now().minusNanos(System.nanoTime() - nanoTime);
  }

  /** Sends the spans that have ended, for a bounded time. */
  @Override
  public void close() {
    if (sdk != null) {
      var unused = sdk.shutdown().join(5, TimeUnit.SECONDS);
    }
  }
}
