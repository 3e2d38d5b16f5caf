package dev.dcgan.speed;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The baseline: sessions of ONNX Runtime with one thread each that run in loops. No latents are
 * sampled, nothing is copied, and no request is served.
 */
final class BareLoop implements AutoCloseable {

  private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

  private final int batch;
  private final List<Runner> runners = new ArrayList<>();
  private final ExecutorService threads;

  BareLoop(byte[] onnx, int latentSize, ImageShape shape, int sessions, int batch)
      throws OrtException {
    this.batch = batch;
    for (int i = 0; i < sessions; i++) {
      runners.add(new Runner(onnx, latentSize, shape, batch));
    }
    threads = Executors.newFixedThreadPool(sessions);
  }

  /** Images per second of all sessions together. */
  double imagesPerSecond(Duration duration) throws InterruptedException, ExecutionException {
    long end = System.nanoTime() + duration.toNanos();
    List<Callable<Double>> loops = new ArrayList<>();
    for (Runner runner : runners) {
      loops.add(() -> runner.runsPerSecond(end));
    }
    double runs = 0;
    for (Future<Double> loop : threads.invokeAll(loops)) {
      runs += loop.get();
    }
    return runs * batch;
  }

  /** The median latency of one session alone, in milliseconds. */
  double medianMillis(int runs) throws OrtException {
    double[] millis = new double[runs];
    for (int i = 0; i < runs; i++) {
      long start = System.nanoTime();
      runners.get(0).run();
      millis[i] = (System.nanoTime() - start) / 1e6;
    }
    Arrays.sort(millis);
    return millis[runs / 2];
  }

  @Override
  public void close() {
    threads.shutdown();
    runners.forEach(Runner::close);
  }

  private static final class Runner implements AutoCloseable {

    private final OrtSession session;
    private final OnnxTensor z;
    private final OnnxTensor pixels;

    Runner(byte[] onnx, int latentSize, ImageShape shape, int batch) throws OrtException {
      try (SessionOptions options = new SessionOptions()) {
        options.setIntraOpNumThreads(1);
        options.setInterOpNumThreads(1);
        session = ENVIRONMENT.createSession(onnx, options);
      }
      FloatBuffer latents =
          ByteBuffer.allocateDirect(batch * latentSize * Float.BYTES)
              .order(ByteOrder.nativeOrder())
              .asFloatBuffer();
      for (int i = 0; i < batch; i++) {
        latents.put(Latents.of(1, i, latentSize));
      }
      z = OnnxTensor.createTensor(ENVIRONMENT, latents.flip(), new long[] {batch, latentSize});
      pixels =
          OnnxTensor.createTensor(
              ENVIRONMENT,
              ByteBuffer.allocateDirect(batch * shape.values()),
              new long[] {batch, shape.height(), shape.width(), shape.channels()},
              OnnxJavaType.UINT8);
    }

    void run() throws OrtException {
      session.run(Map.of("z", z), Map.of("pixels", pixels)).close();
    }

    double runsPerSecond(long end) throws OrtException {
      long start = System.nanoTime();
      long runs = 0;
      long now = start;
      while (now - end < 0) {
        run();
        runs++;
        now = System.nanoTime();
      }
      return runs * 1e9 / (now - start);
    }

    @Override
    public void close() {
      z.close();
      pixels.close();
      try {
        session.close();
      } catch (OrtException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
