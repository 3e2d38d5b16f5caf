package dev.dcgan.trainer.session;

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

/** What Prometheus sees of training. */
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
  private final List<Gauge> ofTheRun;

  // Mutable state, of the training thread
  private long failedAt;

  public TrainerMetrics(PrometheusRegistry registry, InstantSource clock) {
    this.clock = clock;
    discriminatorLoss =
        gauge(registry, "trainer_discriminator_loss", "The discriminator's loss in the last step.");
    generatorLoss =
        gauge(registry, "trainer_generator_loss", "The generator's loss in the last step.");
    realScore = gauge(registry, "trainer_real_score", "D(x), mean over the last step's pictures.");
    fakeScore = gauge(registry, "trainer_fake_score", "D(G(z)), mean over the last step's fakes.");
    epoch = gauge(registry, "trainer_epoch", "The epoch under way, from 1.");
    epochs = gauge(registry, "trainer_epochs", "The epochs that the run is to have.");
    progress =
        gauge(
            registry,
            "trainer_progress_ratio",
            "The share of the run's steps that are done, to 1.");
    remaining =
        gauge(registry, "trainer_remaining_seconds", "Until the run ends, at its pace so far.");
    progressTime =
        gauge(
            registry,
            "trainer_last_progress_timestamp_seconds",
            "When the run last got on, by a step, pictures read or measured, in Unix time.");
    run =
        Info.builder()
            .name("trainer_run_info")
            .help("The run under way.")
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
                "How often in a row the device or its memory has interrupted the run under way"
                    + " without progress in between, by reason.")
            .labelNames("reason")
            .register(registry);
    clearDeviceFailures();
    steps = counter(registry, "trainer_steps_total", "Training steps done.");
    images = counter(registry, "trainer_images_total", "Real pictures that training has seen.");
    stepSeconds =
        Histogram.builder()
            .name("trainer_step_seconds")
            .help("Time of one step: both networks, forward and back.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(
                0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)
            .register(registry);
    discriminatorGradient =
        gauge(
            registry,
            "trainer_discriminator_gradient_norm",
            "The Euclidean norm of the discriminator's gradient in the last step.");
    generatorGradient =
        gauge(
            registry,
            "trainer_generator_gradient_norm",
            "The Euclidean norm of the generator's gradient in the last step.");
    diversity =
        gauge(
            registry,
            "trainer_diversity",
            "How much the sheet's pictures differ, relative to real ones.");
    quality =
        Gauge.builder()
            .name("trainer_quality")
            .help("The last measurement of quality, by figure.")
            .labelNames("figure")
            .register(registry);
    realQuality =
        Gauge.builder()
            .name("trainer_quality_real")
            .help("What real pictures score by the same measure, by figure.")
            .labelNames("figure")
            .register(registry);
    checkpoints = counter(registry, "trainer_checkpoints_total", "Checkpoints written.");
    checkpointSeconds =
        counter(registry, "trainer_checkpoint_seconds_total", "Time spent on checkpoints.");
    checkpointTime =
        gauge(
            registry,
            "trainer_last_checkpoint_timestamp_seconds",
            "When the last checkpoint was written, in Unix time.");
    evaluationSeconds =
        counter(registry, "trainer_evaluation_seconds_total", "Time spent measuring quality.");
    writeFailures =
        Counter.builder()
            .name("trainer_write_failures_total")
            .help("What could not be written: a checkpoint, an event, a sheet of samples ...")
            .labelNames("what")
            .register(registry);
    warnings =
        Counter.builder()
            .name("trainer_warnings_total")
            .help("Troubles that watchdogs noticed, by kind.")
            .labelNames("kind")
            .register(registry);
    warning =
        Gauge.builder()
            .name("trainer_warning")
            .help("1 while a watchdog's trouble lasts, by kind.")
            .labelNames("kind")
            .register(registry);
    published = counter(registry, "trainer_models_published_total", "Models published.");
    ofTheRun =
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
  void checkpointKept(double seconds) {
    checkpoints.inc();
    checkpointSeconds.inc(seconds);
    checkpointTime.set(now());
  }

  /** {@code what} could not be written. */
  void writeFailed(String what) {
    writeFailures.labelValues(what).inc();
  }

  /** Quality was measured. */
  void measured(QualityReport report, double seconds) {
    report.metrics().forEach((name, value) -> quality.labelValues(name).set(value));
    report.baselineMetrics().forEach((name, value) -> realQuality.labelValues(name).set(value));
    evaluationSeconds.inc(seconds);
    progressed();
  }

  /** Something was done of what takes long beside the steps: a picture read, some measured. */
  void progressed() {
    progressTime.set(now());
  }

  /** Of the sheet's pictures, relative to real ones. */
  void diversity(double relative) {
    diversity.set(relative);
  }

  /** A watchdog barked, or became quiet again; what lasts already is not counted again. */
  void warned(String kind, boolean begins) {
    GaugeDataPoint lasts = warning.labelValues(kind);
    if (begins && lasts.get() == 0) {
      warnings.labelValues(kind).inc();
    }
    lasts.set(begins ? 1 : 0);
  }

  public void published() {
    published.inc();
  }

  /**
   * Another run begins, or goes on, at its pictures: of the last one nothing is left but the
   * counters. What this one has not yet is NaN.
   */
  void begin(Run begun) {
    quality.clear();
    realQuality.clear();
    warning.clear();
    ofTheRun.forEach(gauge -> gauge.set(Double.NaN));
    epochs.set(begun.getConfig().getEpochs());
    deviceFailed(begun.getDeviceFailure());
    progressed();
    run.setLabelValues(begun.getId(), begun.getConfig().getModel(), begun.getConfig().getPreset());
  }

  /** The device that is used, and the choice that was requested. */
  public void device(String used, String requested) {
    device.setLabelValues(used, requested);
  }

  /** The last failure of the device in the run under way; without attempts: there was none. */
  void deviceFailed(DeviceFailure failure) {
    clearDeviceFailures();
    failedAt = failure.getStep();
    if (failure.getAttempts() > 0) {
      deviceFailures.labelValues(failure.getKind()).set(failure.getAttempts());
    }
  }

  private void clearDeviceFailures() {
    for (NativeFailureException.Kind kind : NativeFailureException.Kind.values()) {
      deviceFailures.labelValues(kind.label()).set(0);
    }
  }

  /** The run came to an end, or was interrupted. */
  void end(Run ended) {
    run.remove(ended.getId(), ended.getConfig().getModel(), ended.getConfig().getPreset());
    remaining.set(Double.NaN);
  }

  void onStep(Step step, ProgressEstimator pace) {
    progress.set((double) step.step() / pace.steps());
    remaining.set(pace.secondsLeft(step.step()));
    progressed();
    if (step.step() > failedAt) {
      clearDeviceFailures();
    }
    Metrics figures = step.metrics();
    discriminatorLoss.set(figures.discriminatorLoss());
    generatorLoss.set(figures.generatorLoss());
    realScore.set(figures.realScore());
    fakeScore.set(figures.fakeScore());
    discriminatorGradient.set(figures.discriminatorGradientNorm());
    generatorGradient.set(figures.generatorGradientNorm());
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
