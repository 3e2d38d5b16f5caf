package dev.dcgan.sampler.server;

import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.core.ResponseEncoder;
import dev.dcgan.sampler.models.ModelListener;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchListener;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
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

/** What the sampler says of itself to Prometheus, besides its calls. Thread-safe. */
public final class SamplerMetrics implements ModelListener {

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
  private final Counter swaps;
  private final Counter onDemandLoads;
  private final Gauge loaded;
  private final Gauge version;
  private final Gauge newest;
  private final Gauge pinned;
  private final Info model;
  private final Info provider;

  public SamplerMetrics(PrometheusRegistry registry) {
    images =
        Counter.builder()
            .name("sampler_images_total")
            .help("Images sent to callers, by model and format.")
            .labelNames("model", "format")
            .register(registry);
    batchSize =
        Histogram.builder()
            .name("sampler_batch_size")
            .help("Images that the network ran at once.")
            .labelNames("model")
            .classicOnly()
            .classicUpperBounds(powersOfTwo())
            .register(registry);
    queueWait =
        Histogram.builder()
            .name("sampler_queue_wait_seconds")
            .help("Time from a job's arrival to the start of a batch with images of it.")
            .unit(Unit.SECONDS)
            .labelNames("model")
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    execution =
        Histogram.builder()
            .name("sampler_execution_seconds")
            .help(
                "Time that the network took for one batch; bucket: its size, up to a power of two.")
            .unit(Unit.SECONDS)
            .labelNames("model", "bucket")
            .classicOnly()
            .classicUpperBounds(WAITS)
            .register(registry);
    queued =
        Gauge.builder()
            .name("sampler_queued_images")
            .help("Images that wait for the network.")
            .labelNames("model")
            .register(registry);
    padding =
        Counter.builder()
            .name("sampler_padding_images_total")
            .help("Images computed only because the network runs batches of fixed sizes.")
            .labelNames("model")
            .register(registry);
    failures =
        Counter.builder()
            .name("sampler_batch_failures_total")
            .help("Runs of a batch that failed, by model and reason.")
            .labelNames("model", "reason")
            .register(registry);
    rejected =
        Counter.builder()
            .name("sampler_models_rejected_total")
            .help("Versions found in the repository that could not be used.")
            .labelNames("model")
            .register(registry);
    swaps =
        Counter.builder()
            .name("sampler_swaps_total")
            .help("Versions that took over from another one.")
            .labelNames("model")
            .register(registry);
    onDemandLoads =
        Counter.builder()
            .name("sampler_on_demand_loads_total")
            .help("Versions that were loaded because a caller named them.")
            .register(registry);
    loaded =
        Gauge.builder()
            .name("sampler_models_loaded")
            .help("Versions in memory.")
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
            .help("The version that is pinned; 0: none.")
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
            .help("What runs the network, and what --provider asked for.")
            .labelNames("provider", "asked")
            .register(registry);
  }

  /** Follows what answers on their way take. */
  static void answers(ResponseBudget room, PrometheusRegistry registry) {
    GaugeWithCallback.builder()
        .name("sampler_answer_bytes")
        .help("Memory set aside for answers, from a call's admission until its caller has read.")
        .unit(Unit.BYTES)
        .callback(gauge -> gauge.call((double) room.taken()))
        .register(registry);
    GaugeWithCallback.builder()
        .name("sampler_answer_limit_bytes")
        .help("The most memory that may be set aside for answers.")
        .unit(Unit.BYTES)
        .callback(gauge -> gauge.call((double) room.size()))
        .register(registry);
  }

  public void sent(ImageFormat format, GenerateResponse answer) {
    images.labelValues(answer.getModel().getName(), ResponseEncoder.name(format)).inc(answer.getCount());
  }

  /** Sent by the Open Inference Protocol, which knows no formats. */
  public void inferred(ServedVersion model, int count) {
    images.labelValues(model.version().getName(), "infer").inc(count);
  }

  /** Hears the batchers of a model's versions. */
  BatchListener batches(String model) {
    return new Batches(model);
  }

  void provider(Provider used, String asked) {
    provider.setLabelValues(used.toString(), asked);
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
  public void onDisk(String name, long newestVersion, long pinnedVersion) {
    rejected.initLabelValues(name);
    newest.labelValues(name).set((double) newestVersion);
    pinned.labelValues(name).set((double) pinnedVersion);
  }

  @Override
  public void rejected(String name) {
    rejected.labelValues(name).inc();
  }

  /** What the batchers of one model's versions do, all together. */
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
