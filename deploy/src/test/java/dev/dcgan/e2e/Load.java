package dev.dcgan.e2e;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Closed-loop clients: each calls again as soon as it has a response, and compares every byte.
 * Thread-safe.
 */
final class Load implements AutoCloseable {

  private static final int CALLERS = 8;
  private static final int STREAMS = 2;
  private static final int LARGEST_CALL = 20;
  private static final long PATIENCE_SECONDS = 120;

  private final SamplerServiceBlockingStub stub;
  private final ByteString expected;
  private final int images;
  private final int imageBytes;
  private final List<Thread> callers = new ArrayList<>();

  // Mutable state
  @GuardedBy("this") private final Map<Integer, Integer> served = new TreeMap<>(); // By port.

  @GuardedBy("this") private final List<String> failures = new ArrayList<>();

  @GuardedBy("this") private int streams;

  private volatile boolean ended;

  /** Starts the clients; {@code expected} has all images that they request, from 0 on. */
  Load(Channel channel, ByteString expected, int images) {
    stub = SamplerServiceGrpc.newBlockingStub(channel).withInterceptors(new ServerCounter());
    this.expected = expected;
    this.images = images;
    imageBytes = expected.size() / images;
    for (int i = 0; i < CALLERS + STREAMS; i++) {
      boolean streaming = i < STREAMS;
      Random random = new Random(i);
      callers.add(new Thread(() -> call(streaming, random), "caller-" + i));
    }
    callers.forEach(Thread::start);
  }

  /** A line for each call that failed or returned other bytes. */
  synchronized List<String> failures() {
    return List.copyOf(failures);
  }

  /** Streams that ended successfully. */
  synchronized int streams() {
    return streams;
  }

  /** Calls that ended successfully, by the port of the server. */
  synchronized Map<Integer, Integer> served() {
    return Map.copyOf(served);
  }

  /** Waits until one more call to that port has ended successfully. */
  synchronized void awaitServed(int port) throws InterruptedException {
    int before = served.getOrDefault(port, 0);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (served.getOrDefault(port, 0) == before) {
      long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      if (left <= 0) {
        throw new AssertionError(
            "no call to port " + port + " of " + served + "; failures: " + failures);
      }
      wait(left);
    }
  }

  /** Waits for the calls in flight, and makes no others. */
  void end() throws InterruptedException {
    ended = true;
    for (Thread caller : callers) {
      caller.join();
    }
  }

  private void call(boolean streaming, Random random) {
    while (!ended) {
      int count = streaming ? images : 1 + random.nextInt(LARGEST_CALL);
      int first = random.nextInt(images - count + 1);
      try {
        int next = first;
        if (streaming) {
          Iterator<GenerateResponse> chunks =
              withDeadline().generateStream(RollingRestartIT.raw(first, count));
          while (chunks.hasNext()) {
            next = check(next, chunks.next());
          }
        } else {
          next = check(next, withDeadline().generate(RollingRestartIT.raw(first, count)));
        }
        if (next != first + count) {
          throw new IllegalStateException("the call ended after image " + next);
        }
        recordEnd(streaming);
      } catch (RuntimeException e) {
        recordFailure("%d images from %d: %s".formatted(count, first, e));
      }
    }
  }

  private SamplerServiceBlockingStub withDeadline() {
    return stub.withDeadlineAfter(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  private int check(int first, GenerateResponse response) {
    int next = first + response.getCount();
    if (!response.getPixels().equals(expected.substring(first * imageBytes, next * imageBytes))) {
      throw new IllegalStateException("unexpected bytes from image " + first);
    }
    return next;
  }

  private synchronized void recordEnd(boolean streaming) {
    streams += streaming ? 1 : 0;
  }

  private synchronized void recordFailure(String failure) {
    failures.add(failure);
  }

  private synchronized void recordServed(int port) {
    served.merge(port, 1, Integer::sum);
    notifyAll();
  }

  @Override
  public void close() {
    ended = true;
  }

  /** Counts calls by the port of the server. */
  private final class ServerCounter implements ClientInterceptor {

    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(
        MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      ClientCall<Q, A> call = next.newCall(method, options);
      return new SimpleForwardingClientCall<>(call) {
        @Override
        public void start(Listener<A> listener, Metadata headers) {
          super.start(
              new SimpleForwardingClientCallListener<>(listener) {
                @Override
                public void onClose(Status status, Metadata trailers) {
                  if (status.isOk()
                      && call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR)
                          instanceof InetSocketAddress server) {
                    recordServed(server.getPort());
                  }
                  super.onClose(status, trailers);
                }
              },
              headers);
        }
      };
    }
  }
}
