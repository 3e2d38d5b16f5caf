package dev.dcgan.sampler.scheduling;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** What the queue costs: an image asked for alone, and one of a call for 256. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class QueueBenchmark {

  private static final int CALLERS = 64;
  private static final int BATCH = 32;
  private static final int COUNT = 256;

  private final Network network = new NoNetwork();
  private final float[] one = new float[network.latentSize()];
  private final float[] many = new float[COUNT * network.latentSize()];
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
          new QueuedRequest(Priority.NORMAL, true, Long.MAX_VALUE / 2, number++, latents.length / 64);
      queue.add(new ImageTask(request, network, latents, Output.PIXELS, Runnable::run), 0);
    }
    int slices = 0;
    while (queue.images() > 0) {
      slices += queue.take(BATCH, 0, 1).size();
    }
    return slices;
  }

  private static final class NoNetwork implements Network {

    @Override
    public int latentSize() {
      return 64;
    }

    @Override
    public int imageBytes(Output output) {
      return 64;
    }

    @Override
    public void run(List<BatchSlice> batch) {
      throw new UnsupportedOperationException("batches are only formed");
    }

    @Override
    public void close() {}
  }
}
