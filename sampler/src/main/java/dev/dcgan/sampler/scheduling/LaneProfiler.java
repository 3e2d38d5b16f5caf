package dev.dcgan.sampler.scheduling;

import dev.dcgan.server.Threads;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Phaser;
import java.util.function.LongSupplier;

/**
 * Measures latency while all lanes of a version run concurrently, because two sessions on one GPU
 * are not two GPUs. Each lane has a thread. The batch sizes alternate: as in production, a run
 * after another size may have to make a new execution plan or find its weights evicted from the
 * caches.
 */
final class LaneProfiler {

  // Not measured: execution plans are made, and an idle GPU raises its clocks.
  private static final int WARM_UP_ROUNDS = 5;
  private static final int ROUNDS = 9;

  private LaneProfiler() {}

  /**
   * Measures the median latency of each batch size, in nanoseconds, while all lanes run.
   *
   * @throws IllegalStateException the runtime failed
   */
  static long[] measure(List<? extends Network> lanes, int[] sizes, LongSupplier nanoClock) {
    // A lane that fails deregisters, and the others go on without it.
    Phaser barrier = new Phaser(lanes.size());
    List<Callable<long[][]>> tasks = new ArrayList<>();
    for (Network lane : lanes) {
      tasks.add(() -> rounds(lane, sizes, barrier, nanoClock));
    }
    ExecutorService threads = Executors.newFixedThreadPool(lanes.size(), Threads.named("profile"));
    try {
      List<long[][]> measured = new ArrayList<>();
      // Waits for all lanes even if one fails: a network that runs must not be closed.
      for (Future<long[][]> lane : threads.invokeAll(tasks)) {
        measured.add(lane.get());
      }
      return medians(measured, sizes.length);
    } catch (ExecutionException e) {
      throw asUnchecked(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException("the model loading thread must not be interrupted", e);
    } finally {
      threads.shutdown();
    }
  }

  /** Latencies of one lane, by size and round. */
  private static long[][] rounds(
      Network lane, int[] sizes, Phaser barrier, LongSupplier nanoClock) {
    long[][] nanos = new long[sizes.length][ROUNDS];
    try {
      for (int round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
        for (int i = 0; i < sizes.length; i++) {
          float[] latents = new float[sizes[i] * lane.latentSize()];
          Arrays.fill(latents, 0.5f);
          barrier.arriveAndAwaitAdvance();
          long start = nanoClock.getAsLong();
          lane.generate(latents, Output.PIXELS);
          if (round >= 0) {
            nanos[i][round] = Math.max(1, nanoClock.getAsLong() - start);
          }
        }
      }
      return nanos;
    } finally {
      barrier.arriveAndDeregister();
    }
  }

  private static long[] medians(List<long[][]> measured, int sizes) {
    long[] medians = new long[sizes];
    for (int i = 0; i < sizes; i++) {
      int size = i;
      long[] all = measured.stream().flatMapToLong(lane -> Arrays.stream(lane[size])).toArray();
      Arrays.sort(all);
      medians[i] = all[all.length / 2];
    }
    return medians;
  }

  private static RuntimeException asUnchecked(ExecutionException e) {
    if (e.getCause() instanceof Error error) {
      throw error;
    }
    return e.getCause() instanceof RuntimeException fault ? fault : new IllegalStateException(e);
  }
}
