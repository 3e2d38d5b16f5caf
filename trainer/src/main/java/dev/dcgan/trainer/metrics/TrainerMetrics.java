package dev.dcgan.trainer.metrics;

import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingListener.Step;
import dev.dcgan.v1.DeviceFailure;
import dev.dcgan.v1.Run;
import io.prometheus.metrics.core.datapoints.GaugeDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Info;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.time.InstantSource;
import java.util.List;

/** The Prometheus metrics of training. Updated by the training thread. */
public final class TrainerMetrics {

  private final InstantSource clock;
  private final Gauge discriminatorLoss;
  private final Gauge generatorLoss;
  private final Gauge realScore;
  private final Gauge fakeScore;
  private final Info run;
  private final Info device;
  private final Gauge deviceFailures;
  private final Gauge epoch;
  private final Gauge epochs;
  private final Gauge progress;
  private final Gauge remaining;
  private final Gauge progressTime;
  private final Counter steps;
  private final Counter images;
  private final Histogram stepSeconds;
  private final Gauge discriminatorGradient;
  private final Gauge generatorGradient;
  private final Gauge diversity;
  private final Gauge quality;
  private final Gauge realQuality;
  private final Counter checkpoints;
  private final Counter checkpointSeconds;
  private final Gauge checkpointTime;
  private final Counter evaluationSeconds;
  private final Counter writeFailures;
  private final Counter warnings;
  private final Gauge warning;
  private final Counter published;
  private final List<Gauge> perRun;

  // Mutable state, of the training thread
  private long failedStep;

  public TrainerMetrics(PrometheusRegistry registry, InstantSource clock) {
    this.clock = clock;
    discriminatorLoss =
        gauge(registry, "trainer_discriminator_loss", "Discriminator loss of the last step.");
    generatorLoss = gauge(registry, "trainer_generator_loss", "Generator loss of the last step.");
    realScore =
        gauge(registry, "trainer_real_score", "D(x), mean over the real images of the last step.");
    fakeScore =
        gauge(
            registry,
            "trainer_fake_score",
            "D(G(z)), mean over the generated images of the last step.");
    epoch = gauge(registry, "trainer_epoch", "Current epoch, from 1.");
    epochs = gauge(registry, "trainer_epochs", "Epochs of the current run.");
    progress =
        gauge(
            registry, "trainer_progress_ratio", "Share of the run's steps that are done, 0 to 1.");
    remaining = gauge(registry, "trainer_remaining_seconds", "Estimated time until the run ends.");
    progressTime =
        gauge(
            registry,
            "trainer_last_progress_timestamp_seconds",
            "Time of the last progress, by a step or by images read or evaluated, in Unix time.");
    run =
        Info.builder()
            .name("trainer_run_info")
            .help("The current run.")
            .labelNames("run", "model", "preset")
            .register(registry);
    device =
        Info.builder()
            .name("trainer_device_info")
            .help("The device that training uses, and the --device that was requested.")
            .labelNames("device", "requested")
            .register(registry);
    deviceFailures =
        Gauge.builder()
            .name("trainer_device_failures")
            .help(
                "Consecutive interruptions of the current run by the device or its memory without"
                    + " progress in between, by reason.")
            .labelNames("reason")
            .register(registry);
    clearDeviceFailures();
    steps = counter(registry, "trainer_steps_total", "Training steps.");
    images = counter(registry, "trainer_images_total", "Real images that were trained on.");
    stepSeconds =
        Histogram.builder()
            .name("trainer_step_seconds")
            .help("Duration of a step: forward and backward pass of both networks.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(
                0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)
            .register(registry);
    discriminatorGradient =
        gauge(
            registry,
            "trainer_discriminator_gradient_norm",
            "Euclidean norm of the discriminator's gradient in the last step.");
    generatorGradient =
        gauge(
            registry,
            "trainer_generator_gradient_norm",
            "Euclidean norm of the generator's gradient in the last step.");
    diversity =
        gauge(
            registry,
            "trainer_diversity",
            "Diversity of the sample grid, relative to real images; with classes the lowest.");
    quality =
        Gauge.builder()
            .name("trainer_quality")
            .help(
                "Quality of the generator at its last evaluation, by metric; frechet_distance is not"
                    + " comparable with Inception FID.")
            .labelNames("figure")
            .register(registry);
    realQuality =
        Gauge.builder()
            .name("trainer_quality_real")
            .help("Real-vs-real baseline of the quality, by metric.")
            .labelNames("figure")
            .register(registry);
    checkpoints = counter(registry, "trainer_checkpoints_total", "Checkpoints written.");
    checkpointSeconds =
        counter(registry, "trainer_checkpoint_seconds_total", "Time spent writing checkpoints.");
    checkpointTime =
        gauge(
            registry,
            "trainer_last_checkpoint_timestamp_seconds",
            "Time of the last checkpoint, in Unix time.");
    evaluationSeconds =
        counter(registry, "trainer_evaluation_seconds_total", "Time spent evaluating.");
    writeFailures =
        Counter.builder()
            .name("trainer_write_failures_total")
            .help("Writes that failed, by what could not be written.")
            .labelNames("what")
            .register(registry);
    warnings =
        Counter.builder()
            .name("trainer_warnings_total")
            .help("Warnings of the training monitor, by kind.")
            .labelNames("kind")
            .register(registry);
    warning =
        Gauge.builder()
            .name("trainer_warning")
            .help("1 while a warning of the training monitor lasts, by kind.")
            .labelNames("kind")
            .register(registry);
    published = counter(registry, "trainer_models_published_total", "Published model versions.");
    perRun =
        List.of(
            discriminatorLoss,
            generatorLoss,
            realScore,
            fakeScore,
            discriminatorGradient,
            generatorGradient,
            diversity,
            epoch,
            progress,
            remaining,
            checkpointTime);
  }

  /** A checkpoint was written. */
  public void checkpointKept(double seconds) {
    checkpoints.inc();
    checkpointSeconds.inc(seconds);
    checkpointTime.set(now());
  }

  /** {@code what}, an identifier, could not be written. */
  public void writeFailed(String what) {
    writeFailures.labelValues(what).inc();
  }

  /** The generator was evaluated. */
  public void measured(QualityReport report, double seconds) {
    report.metrics().forEach((name, value) -> quality.labelValues(name).set(value));
    report.baselineMetrics().forEach((name, value) -> realQuality.labelValues(name).set(value));
    evaluationSeconds.inc(seconds);
    progressed();
  }

  /** Images were read or evaluated, which may take long without a step. */
  public void progressed() {
    progressTime.set(now());
  }

  /** The diversity of the sample grid, relative to real images. */
  public void diversity(double relative) {
    diversity.set(relative);
  }

  /** A warning begins or ends; one that lasts already is not counted again. */
  public void warned(String kind, boolean begins) {
    GaugeDataPoint lasts = warning.labelValues(kind);
    if (begins && lasts.get() == 0) {
      warnings.labelValues(kind).inc();
    }
    lasts.set(begins ? 1 : 0);
  }

  /** A run has recorded a new version. */
  public void published() {
    published.inc();
  }

  /** A run starts or continues: gauges are NaN until it has values, counters keep theirs. */
  public void begin(Run begun) {
    quality.clear();
    realQuality.clear();
    warning.clear();
    perRun.forEach(gauge -> gauge.set(Double.NaN));
    epochs.set(begun.getConfig().getEpochs());
    deviceFailed(begun.getDeviceFailure());
    progressed();
    run.setLabelValues(begun.getId(), begun.getConfig().getModel(), begun.getConfig().getPreset());
  }

  /** The device that is used, and the {@code --device} that was requested. */
  public void device(String used, String requested) {
    device.setLabelValues(used, requested);
  }

  /** The last failure of the device in the current run; without attempts there was none. */
  public void deviceFailed(DeviceFailure failure) {
    clearDeviceFailures();
    failedStep = failure.getStep();
    if (failure.getAttempts() > 0) {
      deviceFailures.labelValues(failure.getKind()).set(failure.getAttempts());
    }
  }

  private void clearDeviceFailures() {
    for (NativeFailureException.Kind kind : NativeFailureException.Kind.values()) {
      deviceFailures.labelValues(kind.label()).set(0);
    }
  }

  /** The run has ended or was interrupted. */
  public void end(Run ended) {
    run.remove(ended.getId(), ended.getConfig().getModel(), ended.getConfig().getPreset());
    remaining.set(Double.NaN);
  }

  /**
   * A step is done.
   *
   * @param done the share of the run's steps that are done
   * @param secondsLeft until the run ends
   */
  public void onStep(Step step, double done, double secondsLeft) {
    progress.set(done);
    remaining.set(secondsLeft);
    progressed();
    if (step.step() > failedStep) {
      clearDeviceFailures();
    }
    Metrics metrics = step.metrics();
    discriminatorLoss.set(metrics.discriminatorLoss());
    generatorLoss.set(metrics.generatorLoss());
    realScore.set(metrics.realScore());
    fakeScore.set(metrics.fakeScore());
    discriminatorGradient.set(metrics.discriminatorGradientNorm());
    generatorGradient.set(metrics.generatorGradientNorm());
    epoch.set(step.epoch());
    steps.inc();
    images.inc(step.images());
    stepSeconds.observe(step.seconds());
  }

  private double now() {
    return clock.instant().toEpochMilli() / 1e3;
  }

  private static Gauge gauge(PrometheusRegistry registry, String name, String help) {
    return Gauge.builder().name(name).help(help).register(registry);
  }

  private static Counter counter(PrometheusRegistry registry, String name, String help) {
    return Counter.builder().name(name).help(help).register(registry);
  }
}
