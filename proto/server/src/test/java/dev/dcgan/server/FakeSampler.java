package dev.dcgan.server;

import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * A service whose behaviour depends on the request's seed: it responds with the seed as first
 * index, fails, or leaves the response to the test.
 */
class FakeSampler extends SamplerServiceGrpc.SamplerServiceImplBase {

  static final long FAULT = 1001;
  static final long FAULT_AFTER_ANSWER = 1002;
  static final long BAD = 1003;
  static final long HELD = 1004;

  /** The calls with seed {@link #HELD}, which the test completes. */
  final BlockingQueue<StreamObserver<GenerateResponse>> held = new LinkedBlockingQueue<>();

  /** Reaches zero when a held call is cancelled. */
  final CountDownLatch cancelled = new CountDownLatch(1);

  static GenerateRequest request(long seed) {
    return GenerateRequest.newBuilder().setSeed(seed).build();
  }

  static void answer(long seed, StreamObserver<GenerateResponse> observer) {
    observer.onNext(GenerateResponse.newBuilder().setFirstIndex(seed).build());
    observer.onCompleted();
  }

  @Override
  public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    long seed = request.getSeed();
    if (seed == FAULT) {
      throw new IllegalStateException("a secret detail");
    } else if (seed == BAD) {
      observer.onError(Errors.invalidArgument("count", "count 0; expected 1 or more"));
    } else if (seed == HELD) {
      ((ServerCallStreamObserver<GenerateResponse>) observer)
          .setOnCancelHandler(cancelled::countDown);
      held.add(observer);
    } else {
      answer(seed, observer);
    }
    if (seed == FAULT_AFTER_ANSWER) {
      throw new IllegalStateException("after the response");
    }
  }
}
