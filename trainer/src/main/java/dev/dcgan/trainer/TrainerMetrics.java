package dev.dcgan.trainer;

import dev.dcgan.trainer.train.TrainingObserver.Figures;
import dev.dcgan.trainer.train.TrainingObserver.Step;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;

/** What Prometheus sees of training. */
final class TrainerMetrics {

  private final Gauge discriminatorLoss;
  private final Gauge generatorLoss;
  private final Gauge realScore;
  private final Gauge fakeScore;
  private final Gauge epoch;
  private final Counter steps;
  private final Counter images;
  private final Histogram stepSeconds;

  TrainerMetrics(PrometheusRegistry registry) {
    discriminatorLoss =
        gauge(registry, "trainer_discriminator_loss", "The discriminator's loss in the last step.");
    generatorLoss =
        gauge(registry, "trainer_generator_loss", "The generator's loss in the last step.");
    realScore = gauge(registry, "trainer_real_score", "D(x), mean over the last step's pictures.");
    fakeScore = gauge(registry, "trainer_fake_score", "D(G(z)), mean over the last step's fakes.");
    epoch = gauge(registry, "trainer_epoch", "The epoch under way, from 1.");
    steps =
        Counter.builder()
            .name("trainer_steps_total")
            .help("Training steps done.")
            .register(registry);
    images =
        Counter.builder()
            .name("trainer_images_total")
            .help("Real pictures that training has seen.")
            .register(registry);
    stepSeconds =
        Histogram.builder()
            .name("trainer_step_seconds")
            .help("Time of one step: both networks, forward and back.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(
                0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)
            .register(registry);
  }

  void onStep(Step step) {
    Figures figures = step.figures();
    discriminatorLoss.set(figures.discriminatorLoss());
    generatorLoss.set(figures.generatorLoss());
    realScore.set(figures.realScore());
    fakeScore.set(figures.fakeScore());
    epoch.set(step.epoch());
    steps.inc();
    images.inc(step.images());
    stepSeconds.observe(step.seconds());
  }

  private static Gauge gauge(PrometheusRegistry registry, String name, String help) {
    return Gauge.builder().name(name).help(help).register(registry);
  }
}
