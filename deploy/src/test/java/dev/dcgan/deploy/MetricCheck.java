package dev.dcgan.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.dcgan.sampler.server.SamplerNames;
import io.fabric8.kubernetes.api.model.autoscaling.v2.HorizontalPodAutoscaler;
import io.fabric8.kubernetes.api.model.autoscaling.v2.MetricSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Checks that metrics for autoscaling are served, and exposed by the rules of the adapter. */
final class MetricCheck {

  private static final Pattern SERIES = Pattern.compile("(\\w+)\\{.*}");

  private MetricCheck() {}

  static List<String> problems(Manifests manifests) throws IOException {
    Set<String> adapted = adapted();
    List<String> problems = new ArrayList<>();
    for (HorizontalPodAutoscaler scaler : manifests.of(HorizontalPodAutoscaler.class)) {
      for (MetricSpec metric : scaler.getSpec().getMetrics()) {
        String name =
            metric.getPods() == null ? "no pods metric" : metric.getPods().getMetric().getName();
        if (!adapted.contains(name)) {
          problems.add(
              "%s: spec/metrics: no rule of prometheus/adapter.yaml exposes %s"
                  .formatted(Manifests.name(scaler), name));
        }
      }
    }
    return problems;
  }

  /** The metrics that the adapter exposes, of those that the sampler serves. */
  static Set<String> adapted() throws IOException {
    Set<String> served = SamplerNames.metrics();
    Set<String> names = new HashSet<>();
    JsonNode values =
        Manifests.read(Files.readString(Kustomize.DEPLOY.resolve("prometheus/adapter.yaml")))
            .get(0);
    for (JsonNode rule : values.path("rules").path("custom")) {
      Matcher series = SERIES.matcher(rule.path("seriesQuery").asText());
      Pattern matches = Pattern.compile(rule.path("name").path("matches").asText("no name"));
      if (series.matches()
          && served.contains(series.group(1))
          && matches.matcher(series.group(1)).matches()) {
        names.add(rule.path("name").path("as").asText());
      }
    }
    return names;
  }
}
