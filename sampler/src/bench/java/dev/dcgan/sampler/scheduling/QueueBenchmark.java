package dev.dcgan.sampler.scheduling;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** The queue's cost per image: of requests for one image, and of requests for 256. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class QueueBenchmark {

  private static final int CALLERS = 64;
  private static final int BATCH = 32;
  private static final int COUNT = 256;

  private static final int LATENT = 64;
  private static final int IMAGE_BYTES = 64;

  private final float[] one = new float[LATENT];
  private final float[] many = new float[COUNT * LATENT];
  private final FairQueue queue = new FairQueue();
  private long number;

  /** Per image: 64 callers with one image each, into batches of 32. */
  @Benchmark
  @OperationsPerInvocation(CALLERS)
  public int single() {
    return through(CALLERS, one);
  }

  /** Per image: eight callers with 256 images each, into batches of 32. */
  @Benchmark
  @OperationsPerInvocation(8 * COUNT)
  public int many() {
    return through(8, many);
  }

  private int through(int callers, float[] latents) {
    for (int i = 0; i < callers; i++) {
      QueuedRequest request =
          new QueuedRequest(
              i, Priority.NORMAL, true, Long.MAX_VALUE / 2, number++, latents.length / LATENT);
      ImageTask task =
          new ImageTask(
              latents, Network.NO_LABELS, LATENT, Output.PIXELS, IMAGE_BYTES, Runnable::run);
      queue.reserve(request, task.count);
      queue.add(request, task, 0);
    }
    int slices = 0;
    while (queue.images() > 0) {
      slices += queue.take(BATCH, 0, 1).size();
    }
    return slices;
  }
}
