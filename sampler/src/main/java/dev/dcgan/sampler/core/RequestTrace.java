package dev.dcgan.sampler.core;

import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.server.Tracing;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.context.Context;

/** The spans of a request: its images wait in the queue, are made, and are encoded. */
final class RequestTrace {

  private RequestTrace() {}

  /**
   * Records the spans of images that were encoded now.
   *
   * @param encoding when that began, on the clock of {@link System#nanoTime}
   */
  static void record(Context parent, Images images, long encoding) {
    if (!Span.fromContext(parent).isRecording()) {
      return;
    }
    Images.Times times = images.times();
    span(parent, "queue", images.count(), times.queued(), times.started());
    span(parent, "run", images.count(), times.started(), times.made());
    span(parent, "encode", images.count(), encoding, System.nanoTime());
  }

  private static void span(Context parent, String name, int images, long start, long end) {
    Tracing.tracer()
        .spanBuilder(name)
        .setParent(parent)
        .setAttribute("images", images)
        .setStartTimestamp(Tracing.instant(start))
        .startSpan()
        .end(Tracing.instant(end));
  }
}
