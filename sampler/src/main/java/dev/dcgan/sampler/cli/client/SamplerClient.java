package dev.dcgan.sampler.cli.client;

import dev.dcgan.server.Target;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
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

/** Calls a sampler, and reports errors in one line. */
final class SamplerClient implements AutoCloseable {

  /** Receives the responses of a stream, in order. */
  interface Receiver {
    void receive(GenerateResponse response) throws IOException;
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
   * Creates a client, which connects with the first call.
   *
   * @param timeout for each response
   */
  static SamplerClient of(Target target, Duration timeout) throws IOException {
    return new SamplerClient(target, target.open(Grpc::newChannelBuilder), timeout);
  }

  GenerateResponse generate(GenerateRequest request) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout).generate(request);
    } catch (StatusException e) {
      throw failure(e);
    }
  }

  ListModelsResponse models() throws IOException {
    try {
      return stub.withDeadlineAfter(timeout).listModels(ListModelsRequest.getDefaultInstance());
    } catch (StatusException e) {
      throw failure(e);
    }
  }

  void generateStream(GenerateRequest request, Receiver receiver)
      throws IOException, InterruptedException {
    // No deadline: the duration of a stream depends on its length.
    BlockingClientCall<?, GenerateResponse> responses = stub.generateStream(request);
    try {
      for (GenerateResponse next = next(responses); next != null; next = next(responses)) {
        receiver.receive(next);
      }
    } catch (StatusException e) {
      throw failure(e);
    } catch (TimeoutException e) {
      throw noResponse(e);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  private @Nullable GenerateResponse next(BlockingClientCall<?, GenerateResponse> responses)
      throws InterruptedException, TimeoutException, StatusException {
    return responses.read(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  private IOException noResponse(Exception e) {
    return new IOException(
        "no response from %s within %d ms: it may be overloaded; try later, or raise --timeout"
            .formatted(target.address(), timeout.toMillis()),
        e);
  }

  private IOException failure(StatusException e) {
    if (e.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
      return noResponse(e);
    }
    return target.toIOException(e, "a sampler");
  }
}
