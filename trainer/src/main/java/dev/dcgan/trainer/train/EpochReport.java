package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Figures;
import dev.dcgan.trainer.train.TrainingListener.Next;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.util.ArrayList;
import java.util.List;

/** Brings an epoch's figures from the device, a few steps at once, and tells the observer. */
final class EpochReport implements AutoCloseable {

  private static final int FIGURES = 6;

  private final int epoch;
  private final int atOnce;
  private final TrainingListener observer;

  // Mutable state, of the training thread
  private final List<StepMetrics> pending = new ArrayList<>();
  private final double[] sums = new double[FIGURES];
  private long lastFlush = System.nanoTime();
  private int steps;
  private long images;
  private double seconds;

  EpochReport(int epoch, int atOnce, TrainingListener observer) {
    this.epoch = epoch;
    this.atOnce = atOnce;
    this.observer = observer;
  }

  /** Takes a step's figures; returns what the observer wants, as far as it has been told. */
  Next add(StepMetrics step) throws NonFiniteException {
    pending.add(step);
    return pending.size() < atOnce ? Next.CONTINUE : flush();
  }

  /** Tells the observer of all steps so far; returns the most that it asked for. */
  Next flush() throws NonFiniteException {
    Next most = Next.CONTINUE;
    if (pending.isEmpty()) {
      return most;
    }
    float[] values = read();
    double took = (System.nanoTime() - lastFlush) / 1e9 / pending.size();
    for (int i = 0; i < pending.size(); i++) {
      Next next = tell(pending.get(i), values, i * FIGURES, took);
      most = next.compareTo(most) > 0 ? next : most;
    }
    pending.clear();
    lastFlush = System.nanoTime();
    return most;
  }

  private float[] read() {
    NDList arrays = new NDList();
    pending.forEach(step -> arrays.add(step.figures()));
    try (arrays;
        NDArray all = NDArrays.stack(arrays)) {
      return HostCopies.floats(all);
    }
  }

  private Next tell(StepMetrics step, float[] values, int at, double took)
      throws NonFiniteException {
    Figures figures = figures(values, at);
    if (!Float.isFinite(figures.discriminatorLoss())) {
      throw new NonFiniteException("the discriminator's loss", epoch, step.step());
    }
    if (!Float.isFinite(figures.generatorLoss())) {
      throw new NonFiniteException("the generator's loss", epoch, step.step());
    }
    steps++;
    images += step.images();
    seconds += took;
    for (int i = 0; i < FIGURES; i++) {
      sums[i] += values[at + i];
    }
    return observer.onStep(new Step(epoch, step.step(), step.images(), took, figures));
  }

  /** The means over the steps told of. */
  Epoch epoch(long step) {
    float[] means = new float[FIGURES];
    for (int i = 0; i < FIGURES; i++) {
      means[i] = (float) (sums[i] / steps);
    }
    return new Epoch(epoch, step, images, seconds, figures(means, 0));
  }

  private static Figures figures(float[] values, int at) {
    return new Figures(
        values[at], values[at + 1], values[at + 2], values[at + 3], values[at + 4], values[at + 5]);
  }

  @Override
  public void close() {
    pending.forEach(step -> step.figures().close());
  }
}
