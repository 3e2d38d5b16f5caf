package dev.dcgan.trainer.service;

import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.v1.RunState;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;

/** The Prometheus metrics of the service's runs: their number by state. Thread-safe. */
final class RunStateMetrics {

  private static final List<RunState> STATES =
      List.of(
          RunState.RUN_STATE_QUEUED,
          RunState.RUN_STATE_RUNNING,
          RunState.RUN_STATE_SUCCEEDED,
          RunState.RUN_STATE_FAILED,
          RunState.RUN_STATE_STOPPED);

  private final Gauge runs;
  private final Counter givenUp;
  private final Counter removed;

  RunStateMetrics(PrometheusRegistry registry) {
    runs =
        Gauge.builder()
            .name("trainer_runs")
            .help("Runs in the service's folder, by state.")
            .labelNames("state")
            .register(registry);
    givenUp =
        Counter.builder()
            .name("trainer_runs_given_up_total")
            .help("Runs that are FAILED after their last attempt.")
            .register(registry);
    removed =
        Counter.builder()
            .name("trainer_runs_removed_total")
            .help("Ended runs that --keep-runs or --keep-days removed.")
            .register(registry);
    STATES.forEach(state -> runs.labelValues(label(state)).set(0));
  }

  /** Counts a run that was found or created. */
  void found(RunState state) {
    runs.labelValues(label(state)).inc();
  }

  /** Counts a run whose last attempt was prevented. */
  void gaveUp() {
    givenUp.inc();
  }

  /** Counts a run that was removed. */
  void removed(RunState state) {
    removed.inc();
    runs.labelValues(label(state)).dec();
  }

  /** Follows the state of a run that is counted already. */
  void follow(RunRecord record) {
    AtomicReference<RunState> last = new AtomicReference<>(record.run().getState());
    record.addListener(
        () -> {
          RunState now = record.run().getState();
          RunState before = last.getAndSet(now);
          if (now != before) {
            runs.labelValues(label(before)).dec();
            runs.labelValues(label(now)).inc();
          }
        });
  }

  private static String label(RunState state) {
    return RunRecord.name(state).toLowerCase(Locale.ROOT);
  }
}
