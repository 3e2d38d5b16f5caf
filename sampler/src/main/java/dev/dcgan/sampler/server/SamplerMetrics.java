package dev.dcgan.sampler.server;

import dev.dcgan.sampler.core.ImageListener;
import dev.dcgan.sampler.core.ImageResult;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.models.ModelListener;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchListener;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.v1.ModelVersion;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import io.prometheus.metrics.core.datapoints.DistributionDataPoint;
import io.prometheus.metrics.core.datapoints.GaugeDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;

/** The metrics of the sampler, beside those of gRPC and HTTP. Thread-safe. */
final class SamplerMetrics implements ModelListener, ImageListener {

  private static final double[] WAITS = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
  };

  private final Counter images;
  private final Histogram batchSize;
  private final Histogram queueWait;
  private final Histogram execution;
  private final Gauge queued;
  private final Counter padding;
  private final Counter failures;
  private final Counter rejected;
  private final Counter replaced;
  private final Counter swaps;
  private final Counter onDemandLoads;
  private final Gauge loaded;
  private final Gauge overdue;
  private final Gauge version;
  private final Gauge newest;
  private final Gauge pinned;
  private final Info model;
  private final Info provider;

  SamplerMetrics(PrometheusRegistry registry) {
    images =
        Counter.builder()
            .name("sampler_images_total")
            .help("Images sent to clients, by model and format.")
            .labelNames("model", "format")
            .register(registry);
    batchSize =
        Histogram.builder()
            .name("sampler_batch_size")
            .help("Images in a batch.")
            .labelNames("model")
            .classicOnly()
            .classicUpperBounds(powersOfTwo())
            .register(registry);
    queueWait =
        Histogram.builder()
            .name("sampler_queue_wait_seconds")
            .help("Time from the submission of images to the start of a batch with some of them.")
            .unit(Unit.SECONDS)
            .labelNames("model")
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    execution =
        Histogram.builder()
            .name("sampler_execution_seconds")
            .help(
                "Time that the network took for a batch; bucket is its size, rounded up to a power of two.")
            .unit(Unit.SECONDS)
            .labelNames("model", "bucket")
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    queued =
        Gauge.builder()
            .name("sampler_queued_images")
            .help("Images that wait for a batch.")
            .labelNames("model")
            .register(registry);
    padding =
        Counter.builder()
            .name("sampler_padding_images_total")
            .help("Images that were computed only to pad batches to a fixed size.")
            .labelNames("model")
            .register(registry);
    failures =
        Counter.builder()
            .name("sampler_batch_failures_total")
            .help("Failed runs of a batch, by model and reason.")
            .labelNames("model", "reason")
            .register(registry);
    rejected =
        Counter.builder()
            .name("sampler_models_rejected_total")
            .help("Versions in the repository that were rejected.")
            .labelNames("model")
            .register(registry);
    replaced =
        Counter.builder()
            .name("sampler_models_replaced_total")
            .help("Versions whose files were replaced after they were loaded.")
            .labelNames("model")
            .register(registry);
    swaps =
        Counter.builder()
            .name("sampler_swaps_total")
            .help("Versions that replaced another one in service.")
            .labelNames("model")
            .register(registry);
    onDemandLoads =
        Counter.builder()
            .name("sampler_on_demand_loads_total")
            .help("Versions that were loaded because a request named them.")
            .register(registry);
    loaded =
        Gauge.builder()
            .name("sampler_models_loaded")
            .help("Versions in memory.")
            .register(registry);
    overdue =
        Gauge.builder()
            .name("sampler_overdue_loads")
            .help("Loads that have exceeded --load-timeout and have not ended.")
            .register(registry);
    version =
        Gauge.builder()
            .name("sampler_model_version")
            .help("The version that new requests get.")
            .labelNames("model")
            .register(registry);
    newest =
        Gauge.builder()
            .name("sampler_model_newest_version")
            .help("The newest version in the repository, valid or not.")
            .labelNames("model")
            .register(registry);
    pinned =
        Gauge.builder()
            .name("sampler_model_pinned")
            .help("The pinned version; 0 if none is pinned.")
            .labelNames("model")
            .register(registry);
    model =
        Info.builder()
            .name("sampler_model_info")
            .help("The version that new requests get, by model.")
            .labelNames("model", "version", "sha256", "provider")
            .register(registry);
    provider =
        Info.builder()
            .name("sampler_provider_info")
            .help("The execution provider, and the --provider that was requested.")
            .labelNames("provider", "requested")
            .register(registry);
  }

  /** Registers the gauges of the response budget. */
  static void responses(ResponseBudget budget, PrometheusRegistry registry) {
    GaugeWithCallback.builder()
        .name("sampler_response_bytes")
        .help(
            "Memory reserved for responses, from the admission of a request until its client has read.")
        .unit(Unit.BYTES)
        .callback(gauge -> gauge.call((double) budget.reserved()))
        .register(registry);
    GaugeWithCallback.builder()
        .name("sampler_response_limit_bytes")
        .help("The most memory that may be reserved for responses.")
        .unit(Unit.BYTES)
        .callback(gauge -> gauge.call((double) budget.size()))
        .register(registry);
  }

  @Override
  public void sent(ImageResult<?> result) {
    images.labelValues(result.version().version().getName(), result.format()).inc(result.count());
  }

  /** The listener of the schedulers of a model's versions. */
  BatchListener batches(String model) {
    return new Batches(model);
  }

  void provider(Provider used, String requested) {
    provider.setLabelValues(used.toString(), requested);
  }

  @Override
  public void serving(ServedVersion served, @Nullable ServedVersion before) {
    String name = served.version().getName();
    CounterDataPoint taken = swaps.labelValues(name); // There from the first version on.
    if (before != null) {
      model.remove(labels(before));
      taken.inc();
    }
    model.addLabelValues(labels(served));
    version.labelValues(name).set((double) served.version().getVersion());
  }

  @Override
  public void fetched() {
    onDemandLoads.inc();
  }

  @Override
  public void inMemory(int versions) {
    loaded.set(versions);
  }

  @Override
  public void overdueLoads(int loads) {
    overdue.set(loads);
  }

  @Override
  public void onDisk(String name, long newestVersion, long pinnedVersion) {
    rejected.initLabelValues(name);
    replaced.initLabelValues(name);
    newest.labelValues(name).set((double) newestVersion);
    pinned.labelValues(name).set((double) pinnedVersion);
  }

  @Override
  public void rejected(String name) {
    rejected.labelValues(name).inc();
  }

  @Override
  public void replaced(String name) {
    replaced.labelValues(name).inc();
  }

  /** What the schedulers of one model's versions do, all together. */
  private final class Batches implements BatchListener {

    private final String model;
    private final GaugeDataPoint waiting;
    private final DistributionDataPoint sizes;
    private final DistributionDataPoint waits;
    private final CounterDataPoint padded;

    Batches(String model) {
      this.model = model;
      waiting = queued.labelValues(model);
      sizes = batchSize.labelValues(model);
      waits = queueWait.labelValues(model);
      padded = padding.labelValues(model);
      for (Failure.Kind kind : Failure.Kind.values()) {
        failures.initLabelValues(model, kind.reason()); // There before the first one.
      }
    }

    @Override
    public void failed(Failure.Kind kind) {
      failures.labelValues(model, kind.reason()).inc();
    }

    @Override
    public void queueChanged(int by) {
      waiting.inc(by);
    }

    @Override
    public void waited(long nanos) {
      waits.observe(Unit.nanosToSeconds(nanos));
    }

    @Override
    public void executed(int count, int computed, long nanos) {
      sizes.observe(count);
      padded.inc(computed - count);
      execution.labelValues(model, bucket(computed)).observe(Unit.nanosToSeconds(nanos));
    }
  }

  /** A batch's size, rounded up to a power of two: a few series, not one for every size. */
  private static String bucket(int size) {
    return Integer.toString(Integer.highestOneBit(2 * size - 1));
  }

  private static String[] labels(ServedVersion served) {
    ModelVersion version = served.version();
    return new String[] {
      version.getName(),
      Long.toString(version.getVersion()),
      version.getSha256(),
      served.provider().toString()
    };
  }

  private static double[] powersOfTwo() {
    return DoubleStream.iterate(1, n -> n <= BatchingPolicy.MAX_BATCH, n -> n * 2).toArray();
  }
}
