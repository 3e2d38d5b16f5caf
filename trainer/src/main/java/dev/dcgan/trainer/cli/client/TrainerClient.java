package dev.dcgan.trainer.cli.client;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.BadRequest.FieldViolation;
import dev.dcgan.server.Target;
import dev.dcgan.trainer.config.ConfigField;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.GetSamplesRequest;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.ListRunsResponse;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.StopRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingV2Stub;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Calls a trainer service; errors are one line. */
final class TrainerClient implements AutoCloseable {

  private static final int MAX_PAGE_SIZE = 1000;

  /** Receives the events of a run. */
  @FunctionalInterface
  interface Receiver {
    void receive(RunEvent event) throws IOException;
  }

  private final Target target;
  private final ManagedChannel channel;
  private final Duration timeout;
  private final TrainerServiceBlockingV2Stub stub;

  private TrainerClient(Target target, ManagedChannel channel, Duration timeout) {
    this.target = target;
    this.channel = channel;
    this.timeout = timeout;
    this.stub = TrainerServiceGrpc.newBlockingV2Stub(channel);
  }

  /**
   * Creates a client, which connects with its first call.
   *
   * @param timeout of each call except a watch, which has none
   */
  static TrainerClient of(Target target, Duration timeout) throws IOException {
    ManagedChannel channel =
        target.open(
            (address, credentials) ->
                Grpc.newChannelBuilder(address, credentials)
                    // A watch may be silent for hours: keep-alive detects that the machine of the
                    // service is gone. Servers allow it once in 5 minutes.
                    .keepAliveTime(6, TimeUnit.MINUTES));
    return new TrainerClient(target, channel, timeout);
  }

  Run run(String id) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout)
          .getRun(GetRunRequest.newBuilder().setRunId(id).build());
    } catch (StatusException e) {
      throw toException(e);
    }
  }

  /**
   * Starts a run.
   *
   * @throws IOException the call failed; the message has every violation of the config
   */
  Run start(RunConfig config) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout)
          .startRun(StartRunRequest.newBuilder().setConfig(config).build());
    } catch (StatusException e) {
      throw rejected(e);
    }
  }

  private IOException rejected(StatusException e) throws IOException {
    String wrong = violations(e);
    return wrong.isEmpty()
        ? toException(e)
        : new IOException(target.address() + " rejected the run: " + wrong, e);
  }

  /** Requests the end of a run; returns the run as it is then. */
  Run stop(String id) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout)
          .stopRun(StopRunRequest.newBuilder().setRunId(id).build());
    } catch (StatusException e) {
      throw toException(e);
    }
  }

  /** Queues a new run that continues another; as {@link #start} if the service rejects it. */
  Run resume(ResumeRunRequest request) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout).resumeRun(request);
    } catch (StatusException e) {
      throw rejected(e);
    }
  }

  /** Publishes a checkpoint's generator. */
  ModelVersion publish(PublishModelRequest request) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout).publishModel(request).getModel();
    } catch (StatusException e) {
      throw rejected(e);
    }
  }

  /** At most {@code limit} runs, newest first. */
  List<Run> runs(int limit) throws IOException {
    List<Run> runs = new ArrayList<>();
    ListRunsRequest.Builder request = ListRunsRequest.newBuilder();
    try {
      do {
        ListRunsResponse page =
            stub.withDeadlineAfter(timeout)
                .listRuns(
                    request.setPageSize(Math.min(limit - runs.size(), MAX_PAGE_SIZE)).build());
        runs.addAll(page.getRunsList());
        request.setPageToken(page.getNextPageToken());
      } while (runs.size() < limit && !request.getPageToken().isEmpty());
    } catch (StatusException e) {
      throw toException(e);
    }
    return runs;
  }

  /** The sample grid of a name, as PNG. */
  byte[] samples(String id, String name) throws IOException {
    try {
      return stub.withDeadlineAfter(timeout)
          .getSamples(GetSamplesRequest.newBuilder().setRunId(id).setName(name).build())
          .getPng()
          .toByteArray();
    } catch (StatusException e) {
      throw toException(e);
    }
  }

  /** Passes on the run's events from the first; returns when the run has ended. */
  void watch(String id, Receiver receiver) throws IOException, InterruptedException {
    BlockingClientCall<?, RunEvent> events =
        stub.watchRun(WatchRunRequest.newBuilder().setRunId(id).build());
    try {
      for (RunEvent event = events.read(); event != null; event = events.read()) {
        receiver.receive(event);
      }
    } catch (StatusException e) {
      throw toException(e);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** The violations by option; empty: something else is wrong. */
  private static String violations(StatusException e) throws IOException {
    List<String> wrong = new ArrayList<>();
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
      if (detail.is(BadRequest.class)) {
        for (FieldViolation violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          wrong.add(
              ConfigField.option(violation.getField().replaceFirst("^config\\.", ""))
                  + " "
                  + violation.getDescription());
        }
      }
    }
    return String.join("; ", wrong);
  }

  private IOException toException(StatusException e) {
    if (e.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
      return new IOException(
          "no response from %s within %d ms; try again later, or give a longer --timeout"
              .formatted(target.address(), timeout.toMillis()),
          e);
    }
    return target.toIOException(e, "`trainer serve`");
  }
}
