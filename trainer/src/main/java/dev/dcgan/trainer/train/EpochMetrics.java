package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingListener.Next;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.util.ArrayList;
import java.util.List;

/** Reads an epoch's metrics from the device, several steps at a time, and reports them. */
final class EpochMetrics implements AutoCloseable {

  private static final int METRIC_COUNT = 6;

  private final int epoch;
  private final int flushInterval;
  private final TrainingListener listener;

  // Mutable state, used by the training thread only
  private final List<StepMetrics> pending = new ArrayList<>();
  private final double[] sums = new double[METRIC_COUNT];
  private long lastFlush = System.nanoTime();
  private int steps;
  private long images;
  private double seconds;

  EpochMetrics(int epoch, int flushInterval, TrainingListener listener) {
    this.epoch = epoch;
    this.flushInterval = flushInterval;
    this.listener = listener;
  }

  /** Adds a step's metrics; returns the listener's request if steps were reported. */
  Next add(StepMetrics step) throws NonFiniteException {
    pending.add(step);
    return pending.size() < flushInterval ? Next.CONTINUE : flush();
  }

  /** Reports all pending steps to the listener; returns the strongest of its requests. */
  Next flush() throws NonFiniteException {
    Next strongest = Next.CONTINUE;
    if (pending.isEmpty()) {
      return strongest;
    }
    float[] values = read();
    double secondsPerStep = (System.nanoTime() - lastFlush) / 1e9 / pending.size();
    for (int i = 0; i < pending.size(); i++) {
      Next next = report(pending.get(i), values, i * METRIC_COUNT, secondsPerStep);
      strongest = next.compareTo(strongest) > 0 ? next : strongest;
    }
    pending.clear();
    lastFlush = System.nanoTime();
    return strongest;
  }

  private float[] read() {
    NDList arrays = new NDList();
    pending.forEach(step -> arrays.add(step.values()));
    try (arrays;
        NDArray all = NDArrays.stack(arrays)) {
      return HostCopies.floats(all);
    }
  }

  private Next report(StepMetrics step, float[] values, int at, double secondsPerStep)
      throws NonFiniteException {
    Metrics metrics = metrics(values, at);
    if (!Float.isFinite(metrics.discriminatorLoss())) {
      throw new NonFiniteException("the discriminator's loss", epoch, step.step());
    }
    if (!Float.isFinite(metrics.generatorLoss())) {
      throw new NonFiniteException("the generator's loss", epoch, step.step());
    }
    steps++;
    images += step.images();
    seconds += secondsPerStep;
    for (int i = 0; i < METRIC_COUNT; i++) {
      sums[i] += values[at + i];
    }
    return listener.onStep(new Step(epoch, step.step(), step.images(), secondsPerStep, metrics));
  }

  /** The means over the reported steps. */
  Epoch epoch(long step) {
    float[] means = new float[METRIC_COUNT];
    for (int i = 0; i < METRIC_COUNT; i++) {
      means[i] = (float) (sums[i] / steps);
    }
    return new Epoch(epoch, step, images, seconds, metrics(means, 0));
  }

  private static Metrics metrics(float[] values, int at) {
    return new Metrics(
        values[at], values[at + 1], values[at + 2], values[at + 3], values[at + 4], values[at + 5]);
  }

  @Override
  public void close() {
    pending.forEach(step -> step.values().close());
  }
}
