package dev.dcgan.trainer.session.listener;

import dev.dcgan.server.Tracing;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.context.Context;

/**
 * Records a span of the session and, below it, two of each epoch: its steps, and its end, in which
 * checkpoints, evaluations and versions are made. Comes last, after what it times.
 */
final class TracingListener implements SessionListener {

  private final Span run;
  private final Context parent;

  // Mutable state
  private long epochEnded;

  TracingListener(SessionContext context) {
    run =
        Tracing.tracer()
            .spanBuilder("training")
            .setAttribute("run", context.record().folder().id())
            .setAttribute("preset", context.config().config().getPreset())
            .setAttribute("epochs", context.epochs())
            .setAttribute("first_step", context.firstStep())
            .startSpan();
    parent = Context.root().with(run);
  }

  @Override
  public void onEpoch(Epoch epoch) {
    epochEnded = System.nanoTime();
    span("epoch", epoch.epoch(), epochEnded - (long) (epoch.seconds() * 1e9), epochEnded);
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) {
    // A resumed run may begin with the end of an epoch.
    if (epochEnded != 0) {
      span("epoch end", end.epoch(), epochEnded, System.nanoTime());
    }
    return end;
  }

  private void span(String name, int epoch, long start, long end) {
    Tracing.tracer()
        .spanBuilder(name)
        .setParent(parent)
        .setAttribute("epoch", epoch)
        .setStartTimestamp(Tracing.instant(start))
        .startSpan()
        .end(Tracing.instant(end));
  }

  @Override
  public void close() {
    run.end();
  }
}
