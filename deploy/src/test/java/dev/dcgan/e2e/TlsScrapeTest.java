package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import dev.dcgan.deploy.TlsSecret;
import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.ServerTls;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A real Prometheus scrapes metrics over TLS, and verifies the certificate. */
@Timeout(120)
class TlsScrapeTest {

  private static final ObjectMapper yaml = new ObjectMapper(new YAMLFactory());

  @TempDir private Path scratch;

  private Path secret;
  private HttpEndpoint endpoint;

  @BeforeEach
  void serve() throws Exception {
    Program.assumeRuns("prometheus", "prometheus", "--version");
    secret = TlsSecret.in(Files.createDirectory(scratch.resolve("secret")));
    ServerTls tls =
        new ServerTls(
            secret.resolve("tls.crt"),
            secret.resolve("tls.key"),
            null,
            Duration.ofMinutes(1),
            Duration.ofMinutes(1));
    PrometheusRegistry registry = new PrometheusRegistry();
    endpoint =
        HttpEndpoint.start(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            registry,
            Map.of(),
            Set.of(),
            tls,
            AccessControl.start(AccessConfig.OPEN, tls, registry));
  }

  @AfterEach
  void end() {
    if (endpoint != null) {
      endpoint.close();
    }
  }

  @Test
  void certificateOfTheCa_isAccepted() throws Exception {
    assertThat(scrape(secret, "dcgan-sampler.dcgan.svc")).isEmpty();
  }

  @Test
  void certificateOfAnotherCa_isRefused() throws Exception {
    Path other = TlsSecret.in(Files.createDirectory(scratch.resolve("other")));

    assertThat(scrape(other, "dcgan-sampler.dcgan.svc")).contains("x509", "unknown authority");
  }

  @Test
  void certificateOfAnotherName_isRefused() throws Exception {
    assertThat(scrape(secret, "dcgan-sampler.other.svc"))
        .contains("x509", "dcgan-sampler.other.svc");
  }

  /** Scrapes with the configuration for Kubernetes, but one address; returns the error. */
  private String scrape(Path trusted, String serverName) throws Exception {
    Path folder = Files.createDirectory(scratch.resolve("prometheus"));
    Files.copy(
        trusted.resolve("ca.crt"), folder.resolve("ca.crt"), StandardCopyOption.REPLACE_EXISTING);
    Files.writeString(folder.resolve("prometheus.yml"), config(serverName));
    Prometheus prometheus = Prometheus.start(folder);
    try {
      return prometheus.awaitScrape();
    } finally {
      prometheus.stop();
    }
  }

  private String config(String serverName) throws IOException {
    ObjectNode config =
        (ObjectNode) yaml.readTree(Path.of("prometheus/prometheus-kubernetes-tls.yml").toFile());
    config.remove("rule_files");
    ((ObjectNode) config.at("/global")).put("scrape_interval", "5s").put("scrape_timeout", "5s");
    ObjectNode job = (ObjectNode) config.at("/scrape_configs/0");
    ((ObjectNode) job.at("/tls_config")).put("server_name", serverName);
    job.remove("kubernetes_sd_configs");
    job.set("static_configs", yaml.valueToTree(List.of(pod())));
    return yaml.writeValueAsString(config);
  }

  /** This process as service discovery describes a pod with the component tls. */
  private Map<String, Object> pod() {
    return Map.of(
        "targets",
        List.of("127.0.0.1:1"),
        "labels",
        Map.of(
            "__meta_kubernetes_namespace", "dcgan",
            "__meta_kubernetes_pod_name", "dcgan-sampler-1",
            "__meta_kubernetes_pod_label_app_kubernetes_io_name", "dcgan-sampler",
            "__meta_kubernetes_pod_phase", "Running",
            "__meta_kubernetes_pod_ip", "127.0.0.1",
            "__meta_kubernetes_pod_annotation_prometheus_io_port",
                Integer.toString(endpoint.port()),
            "__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true",
            "__meta_kubernetes_pod_annotation_prometheus_io_path", "/metrics",
            "__meta_kubernetes_pod_annotation_prometheus_io_scheme", "https"));
  }
}
