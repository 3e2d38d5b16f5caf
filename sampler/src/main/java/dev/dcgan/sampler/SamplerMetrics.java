package dev.dcgan.sampler;

import dev.dcgan.sampler.batch.BatchListener;
import dev.dcgan.sampler.batch.BatchPolicy;
import dev.dcgan.sampler.model.LoadedModel;
import dev.dcgan.sampler.model.Provider;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ModelVersion;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.util.stream.DoubleStream;

/** What the sampler says of itself to Prometheus, besides its calls. Thread-safe. */
final class SamplerMetrics implements BatchListener {

  private static final double[] WAITS = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
  };

  private final Counter images;
  private final Histogram batchSize;
  private final Histogram queueWait;
  private final Histogram execution;
  private final Gauge queued;
  private final Counter padding;
  private final Counter rejected;
  private final Info model;
  private final Info provider;

  SamplerMetrics(PrometheusRegistry registry) {
    images =
        Counter.builder()
            .name("sampler_images_total")
            .help("Images sent to callers, by format.")
            .labelNames("format")
            .register(registry);
    batchSize =
        Histogram.builder()
            .name("sampler_batch_size")
            .help("Images that the network ran at once.")
            .classicOnly()
            .classicUpperBounds(powersOfTwo())
            .register(registry);
    queueWait =
        Histogram.builder()
            .name("sampler_queue_wait_seconds")
            .help("Time from a job's arrival to the start of a batch with images of it.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    execution =
        Histogram.builder()
            .name("sampler_execution_seconds")
            .help("Time that the network took for one batch.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    queued =
        Gauge.builder()
            .name("sampler_queued_images")
            .help("Images that wait for the network.")
            .register(registry);
    padding =
        Counter.builder()
            .name("sampler_padding_images_total")
            .help("Images computed only because the network runs batches of fixed sizes.")
            .register(registry);
    rejected =
        Counter.builder()
            .name("sampler_models_rejected_total")
            .help("Versions found in the repository that could not be used.")
            .register(registry);
    model =
        Info.builder()
            .name("sampler_model_info")
            .help("The version that new requests get.")
            .labelNames("model", "version", "sha256", "provider")
            .register(registry);
    provider =
        Info.builder()
            .name("sampler_provider_info")
            .help("What runs the network, and what --provider asked for.")
            .labelNames("provider", "asked")
            .register(registry);
  }

  void sent(ImageFormat format, int count) {
    images.labelValues(Answers.name(format)).inc(count);
  }

  void provider(Provider used, String asked) {
    provider.setLabelValues(used.toString(), asked);
  }

  void serving(LoadedModel served) {
    ModelVersion version = served.version();
    model.setLabelValues(
        version.getName(),
        Long.toString(version.getVersion()),
        version.getSha256(),
        served.provider().toString());
  }

  void rejected() {
    rejected.inc();
  }

  @Override
  public void queueChanged(int by) {
    queued.inc(by);
  }

  @Override
  public void waited(long nanos) {
    queueWait.observe(Unit.nanosToSeconds(nanos));
  }

  @Override
  public void executed(int count, int padded, long nanos) {
    batchSize.observe(count);
    padding.inc(padded - count);
    execution.observe(Unit.nanosToSeconds(nanos));
  }

  private static double[] powersOfTwo() {
    return DoubleStream.iterate(1, n -> n <= BatchPolicy.LARGEST_BATCH, n -> n * 2).toArray();
  }
}
