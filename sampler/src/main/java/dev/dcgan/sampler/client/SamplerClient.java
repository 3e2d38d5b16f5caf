package dev.dcgan.sampler.client;

import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.util.Iterator;

/** Calls a sampler, and says in one line what went wrong. */
final class SamplerClient implements AutoCloseable {

  /** Takes the answers of a stream, in order. */
  interface Receiver {
    void receive(GenerateResponse answer) throws IOException;
  }

  private final String target;
  private final ManagedChannel channel;
  private final SamplerServiceBlockingStub stub;

  private SamplerClient(String target, ManagedChannel channel) {
    this.target = target;
    this.channel = channel;
    this.stub = SamplerServiceGrpc.newBlockingStub(channel);
  }

  /**
   * Prepares to call; connects with the first call.
   *
   * @param target {@code host:port}, or any other name that gRPC resolves
   */
  static SamplerClient of(String target) throws IOException {
    try {
      return new SamplerClient(
          target, Grpc.newChannelBuilder(target, InsecureChannelCredentials.create()).build());
    } catch (IllegalArgumentException e) {
      throw new IOException(
          "'%s' is no target (%s); expected host:port".formatted(target, e.getMessage()), e);
    }
  }

  GenerateResponse generate(GenerateRequest request) throws IOException {
    try {
      return stub.generate(request);
    } catch (StatusRuntimeException e) {
      throw told(e);
    }
  }

  void generateStream(GenerateRequest request, Receiver receiver) throws IOException {
    try {
      Iterator<GenerateResponse> answers = stub.generateStream(request);
      while (answers.hasNext()) {
        receiver.receive(answers.next());
      }
    } catch (StatusRuntimeException e) {
      throw told(e);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** Netty puts the system call before the reason, and the address after it. */
  private static String reason(Throwable cause) {
    String message = String.valueOf(cause.getMessage());
    int call = message.indexOf("): ");
    return call < 0 ? message : message.substring(call + 3);
  }

  private IOException told(StatusRuntimeException e) {
    Status status = e.getStatus();
    for (Throwable cause = status.getCause(); cause != null; cause = cause.getCause()) {
      if (cause instanceof ConnectException || cause instanceof UnknownHostException) {
        return new IOException(
            "cannot reach %s (%s); does a sampler run there?".formatted(target, reason(cause)), e);
      }
    }
    return new IOException(
        "%s answered %s: %s".formatted(target, status.getCode(), status.getDescription()), e);
  }
}
