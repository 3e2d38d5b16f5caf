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
 * Measures how long runs take while all lanes of a version run at once: two sessions on one GPU are
 * not two GPUs. Each lane has a thread. The sizes alternate, because after another size a run may
 * have to plan anew or find its weights gone from the caches, as it will when it serves.
 */
final class LaneProfiler {

  // Untimed, until plans are made and a GPU that was idle has raised its clocks.
  private static final int WARM_UP_ROUNDS = 5;
  private static final int ROUNDS = 9;

  private LaneProfiler() {}

  /**
   * The median time of a run of each size, with all lanes at work.
   *
   * @param sizes images a run
   * @throws IllegalStateException the runtime failed
   */
  static long[] measure(List<? extends Network> lanes, int[] sizes, LongSupplier nanoClock) {
    // A lane that fails leaves it, and the others go on without it.
    Phaser together = new Phaser(lanes.size());
    List<Callable<long[][]>> tasks = new ArrayList<>();
    for (Network lane : lanes) {
      tasks.add(() -> rounds(lane, sizes, together, nanoClock));
    }
    ExecutorService threads = Executors.newFixedThreadPool(lanes.size(), Threads.named("profile"));
    try {
      List<long[][]> measured = new ArrayList<>();
      // Waits for all, also where one fails: a network that runs must not be closed.
      for (Future<long[][]> lane : threads.invokeAll(tasks)) {
        measured.add(lane.get());
      }
      return medians(measured, sizes.length);
    } catch (ExecutionException e) {
      throw asUnchecked(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException("the thread that loads models must not be interrupted", e);
    } finally {
      threads.shutdown();
    }
  }

  /** Nanoseconds of one lane, by size and round. */
  private static long[][] rounds(
      Network lane, int[] sizes, Phaser together, LongSupplier nanoClock) {
    long[][] nanos = new long[sizes.length][ROUNDS];
    try {
      for (int round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
        for (int i = 0; i < sizes.length; i++) {
          float[] latents = new float[sizes[i] * lane.latentSize()];
          Arrays.fill(latents, 0.5f);
          together.arriveAndAwaitAdvance();
          long start = nanoClock.getAsLong();
          lane.generate(latents, Output.PIXELS);
          if (round >= 0) {
            nanos[i][round] = Math.max(1, nanoClock.getAsLong() - start);
          }
        }
      }
      return nanos;
    } finally {
      together.arriveAndDeregister();
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
