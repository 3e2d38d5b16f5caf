package dev.dcgan.sampler.cli.client;

import dev.dcgan.server.Target;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingV2Stub;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** Calls a sampler, and says in one line what went wrong. */
final class SamplerClient implements AutoCloseable {

  /** Takes the answers of a stream, in order. */
  interface Receiver {
    void receive(GenerateResponse answer) throws IOException;
  }

  private final Target target;
  private final ManagedChannel channel;
  private final Duration timeout;
  private final SamplerServiceBlockingV2Stub stub;

  private SamplerClient(Target target, ManagedChannel channel, Duration timeout) {
    this.target = target;
    this.channel = channel;
    this.timeout = timeout;
    this.stub = SamplerServiceGrpc.newBlockingV2Stub(channel);
  }

  /**
   * Prepares to call; connects with the first call.
   *
   * @param timeout how long to wait for each answer
   */
  static SamplerClient of(Target target, Duration timeout) throws IOException {
    return new SamplerClient(target, target.open(Grpc::newChannelBuilder), timeout);
  }

  GenerateResponse generate(GenerateRequest request) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout).generate(request);
    } catch (StatusException e) {
      throw told(e);
    }
  }

  void generateStream(GenerateRequest request, Receiver receiver)
      throws IOException, InterruptedException {
    // No deadline: how long a whole stream takes depends on its length.
    BlockingClientCall<?, GenerateResponse> answers = stub.generateStream(request);
    try {
      for (GenerateResponse next = next(answers); next != null; next = next(answers)) {
        receiver.receive(next);
      }
    } catch (StatusException e) {
      throw told(e);
    } catch (TimeoutException e) {
      throw noAnswer(e);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private @Nullable GenerateResponse next(BlockingClientCall<?, GenerateResponse> answers)
      throws InterruptedException, TimeoutException, StatusException {
    return answers.read(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  private IOException noAnswer(Exception e) {
    return new IOException(
        "no answer from %s within %d ms; is it overloaded? Try later, or a longer --timeout"
            .formatted(target.address(), timeout.toMillis()),
        e);
  }

  private IOException told(StatusException e) {
    if (e.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
      return noAnswer(e);
    }
    return target.toIOException(e, "a sampler");
  }
}
