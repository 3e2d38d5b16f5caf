package dev.dcgan.faults;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.LongFunction;

/**
 * Callers that go on whatever their calls end with, and compare every byte with the images of an
 * undisturbed sampler. Every fourth one streams. Thread-safe.
 */
final class CheckedCalls implements AutoCloseable {

  /** The images 0 to this one are requested. */
  static final int IMAGES = 4000;

  private static final int LARGEST_CALL = 20;
  private static final long PATIENCE_SECONDS = 120;

  private final LongFunction<ByteString> expected;
  private final long deadlineMillis;
  private final List<Thread> callers = new ArrayList<>();

  // Mutable state
  private volatile Channel channel;

  private volatile boolean ended;

  @GuardedBy("this") private final Map<Status.Code, Integer> codes = new EnumMap<>(Status.Code.class);

  @GuardedBy("this") private final List<String> wrong = new ArrayList<>();

  /**
   * Starts to call.
   *
   * @param expected the pixels of all images, by version
   */
  CheckedCalls(
      Channel channel, int number, long deadlineMillis, LongFunction<ByteString> expected) {
    this.channel = channel;
    this.expected = expected;
    this.deadlineMillis = deadlineMillis;
    for (int i = 0; i < number; i++) {
      boolean streaming = i % 4 == 3;
      Random random = new Random(i);
      callers.add(new Thread(() -> repeat(streaming, random), "caller-" + i));
    }
    callers.forEach(Thread::start);
  }

  /** The pixels of all images, from a sampler that nothing disturbs. */
  static ByteString images(Channel channel, String model, long version) {
    List<ByteString> chunks = new ArrayList<>();
    SamplerServiceGrpc.newBlockingStub(channel)
        .generateStream(request(0, IMAGES).toBuilder().setModel(model).setVersion(version).build())
        .forEachRemaining(chunk -> chunks.add(chunk.getPixels()));
    return ByteString.copyFrom(chunks);
  }

  static GenerateRequest request(int first, int count) {
    return GenerateRequest.newBuilder()
        .setSeed(7)
        .setFirstIndex(first)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }

  /** From now on another process is called. */
  void call(Channel channel) {
    this.channel = channel;
  }

  /** Waits until one more call has been answered with images. */
  synchronized void awaitAnswer() throws InterruptedException {
    int before = codes.getOrDefault(Status.Code.OK, 0);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (codes.getOrDefault(Status.Code.OK, 0) == before) {
      long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      if (left <= 0) {
        throw new AssertionError("no call is answered any more; calls by code: " + codes);
      }
      wait(left);
    }
  }

  /** Ends the calls. */
  void end() throws InterruptedException {
    ended = true;
    for (Thread caller : callers) {
      caller.join();
    }
  }

  /** Calls by how they ended. */
  synchronized Map<Status.Code, Integer> codes() {
    return new EnumMap<>(codes);
  }

  /** Calls that were answered with images. */
  int answered() {
    return codes().getOrDefault(Status.Code.OK, 0);
  }

  /** A line for each response with unexpected bytes. */
  synchronized List<String> wrong() {
    return List.copyOf(wrong);
  }

  @Override
  public void close() {
    ended = true;
  }

  private void repeat(boolean streaming, Random random) {
    while (!ended) {
      Status.Code code = Status.Code.OK;
      try {
        call(streaming, random);
      } catch (StatusRuntimeException e) {
        code = e.getStatus().getCode();
      }
      record(code);
      if (code == Status.Code.UNAVAILABLE) {
        pause(); // No sampler is listening.
      }
    }
  }

  private void call(boolean streaming, Random random) {
    SamplerServiceBlockingStub stub =
        SamplerServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(deadlineMillis, TimeUnit.MILLISECONDS);
    if (!streaming) {
      int count = 1 + random.nextInt(LARGEST_CALL);
      check(stub.generate(request(random.nextInt(IMAGES - count + 1), count)));
      return;
    }
    Iterator<GenerateResponse> chunks = stub.generateStream(request(0, IMAGES));
    int next = 0;
    while (chunks.hasNext()) {
      GenerateResponse chunk = chunks.next();
      check(chunk);
      next += chunk.getCount();
    }
    if (next != IMAGES) {
      record("a stream ended after image " + next);
    }
  }

  private void check(GenerateResponse response) {
    ByteString all = expected.apply(response.getModel().getVersion());
    int imageBytes = all.size() / IMAGES;
    int first = (int) response.getFirstIndex() * imageBytes;
    if (!response
        .getPixels()
        .equals(all.substring(first, first + response.getCount() * imageBytes))) {
      record(
          "unexpected bytes of version %d, %d images from %d"
              .formatted(
                  response.getModel().getVersion(), response.getCount(), response.getFirstIndex()));
    }
  }

  private synchronized void record(Status.Code code) {
    codes.merge(code, 1, Integer::sum);
    notifyAll();
  }

  private synchronized void record(String what) {
    wrong.add(what);
  }

  private static void pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(20);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
