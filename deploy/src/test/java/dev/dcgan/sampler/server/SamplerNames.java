package dev.dcgan.sampler.server;

import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.Set;
import java.util.stream.Collectors;

/** The names of the metrics that a sampler registers, without those of gRPC calls. */
public final class SamplerNames {

  private SamplerNames() {}

  public static Set<String> metrics() {
    PrometheusRegistry registry = new PrometheusRegistry();
    new SamplerMetrics(registry);
    return registry.scrape().stream()
        .map(metric -> metric.getMetadata().getPrometheusName())
        .collect(Collectors.toSet());
  }
}
