package dev.dcgan.sampler.cli.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.sampler.cli.client.LoadReport.Errors;
import dev.dcgan.server.Target;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Loads over a socket, by a clock that the server or the test moves. */
class LoadTest {

  private static final Duration TICK = Duration.ofMillis(1);
  private static final Duration SECOND = Duration.ofSeconds(1);
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  // Of the histogram: three digits.
  private static final double PRECISION = 0.002;

  private final FakeClock clock = new FakeClock();
  private FakeSampler server;
  private Connections connections;
  private List<ManagedChannel> channels;

  @BeforeEach
  void serve() throws IOException {
    server = FakeSampler.start();
    connections = Connections.to(Target.plain(server.target()), 2);
    channels = connections.channels();
  }

  @AfterEach
  void end() {
    connections.close();
    server.close();
  }

  @Test
  void closedLoop_countsCallsStartedAfterTheWarmUp() throws Exception {
    server.behave(this::respondInOneTick);
    LoadReport report = Load.run(closed(1, 3, 20, 100), channels, clock);

    // Call n begins at n ms and ends at n + 1.
    assertThat(server.firstIndices())
        .isEqualTo(LongStream.range(0, 120).map(n -> 3 * n).boxed().toList());
    assertThat(report.calls()).isEqualTo(100);
    assertThat(report.succeeded()).isEqualTo(100);
    assertThat(report.seconds()).isEqualTo(0.1);
    assertThat(report.callsPerSecond()).isEqualTo(1000);
    assertThat(report.imagesPerSecond()).isEqualTo(3000);
    int bytes = FakeSampler.images(150, 3).build().getSerializedSize();
    assertThat(report.bytesPerSecond()).isBetween(990.0 * bytes, 1010.0 * bytes);
    assertThat(report.latency().p50()).isCloseTo(1, within(PRECISION));
    assertThat(report.latency().max()).isCloseTo(1, within(PRECISION));
    assertThat(report.errors()).isEmpty();
  }

  @Test
  void manyCallers_neverRequestTheSameImages() throws Exception {
    server.behave(this::respondInOneTick);
    LoadReport report = Load.run(closed(16, 5, 0, 1000), channels, clock);

    int calls = server.requests.size();
    assertThat(calls).isBetween(1000, 1016);
    assertThat(server.firstIndices())
        .containsExactlyInAnyOrderElementsOf(
            LongStream.range(0, calls).map(n -> 5 * n).boxed().toList());
    assertThat(report.calls()).isEqualTo(calls);
    assertThat(report.succeeded()).isEqualTo(calls);
  }

  @Test
  void errors_areCountedByCode_withTheFirstMessage() throws Exception {
    server.behave(
        (request, observer) -> {
          long index = request.getFirstIndex();
          if (index % 10 == 3) {
            refuse(observer, Status.RESOURCE_EXHAUSTED.withDescription("full at " + index));
          } else if (index % 10 == 5) {
            refuse(observer, Status.INTERNAL.withDescription("a fault"));
          } else {
            respondInOneTick(request, observer);
          }
        });
    LoadReport report = Load.run(closed(1, 1, 0, 80), channels, clock);

    assertThat(report.errors())
        .isEqualTo(
            Map.of(
                "RESOURCE_EXHAUSTED",
                new Errors(10, "full at 3"),
                "INTERNAL",
                new Errors(10, "a fault")));
    assertThat(report.calls()).isEqualTo(100);
    assertThat(report.succeeded()).isEqualTo(80);
  }

  @Test
  void responsesWithOtherImages_areErrors() throws Exception {
    server.behave(
        (request, observer) -> {
          long index = request.getFirstIndex();
          int which = (int) (index / 2 % 4);
          clock.advance(TICK);
          GenerateResponse.Builder response = FakeSampler.images(index, 2);
          switch (which) {
            case 1 -> response.setFirstIndex(index + 1);
            case 2 -> response = FakeSampler.images(index, 1);
            case 3 -> response.setCount(3);
            default -> {}
          }
          FakeSampler.respond(response, observer);
        });
    LoadReport report = Load.run(closed(1, 2, 0, 40), channels, clock);

    assertThat(report.succeeded()).isEqualTo(10);
    // Two of each correct response, and one of each that was short.
    assertThat(report.imagesPerSecond()).isEqualTo((10 * 2 + 10) / 0.04);
    assertThat(report.errors())
        .isEqualTo(
            Map.of(
                LoadReport.WRONG_RESPONSE,
                new Errors(30, "images from index 3; expected from index 2")));
  }

  @Test
  void streams_countEachImage() throws Exception {
    // Each reading of the clock advances it by a tick.
    Load.Clock ticking = ticking();
    LoadPlan<GenerateRequest> plan =
        plan(
            SamplerServiceGrpc.getGenerateStreamMethod(),
            4,
            5,
            0,
            Duration.ZERO,
            Duration.ofMillis(500));
    LoadReport report = Load.run(plan, channels, ticking);

    assertThat(report.errors()).isEmpty();
    assertThat(report.succeeded()).isPositive().isEqualTo(server.requests.size());
    assertThat(server.firstIndices()).doesNotHaveDuplicates().allMatch(first -> first % 5 == 0);
    assertThat(report.imagesPerSecond()).isGreaterThan(report.callsPerSecond());
  }

  @Test
  void openLoop_whenTheServerStalls_countsFromTheDueTime() throws Exception {
    BlockingQueue<Runnable> held = new LinkedBlockingQueue<>();
    server.behave((request, observer) -> held.add(() -> FakeSampler.respond(request, observer)));
    FutureTask<LoadReport> load = begin(() -> Load.run(open(2, 10), channels, clock));

    // Calls are due each 100 ms; two are let out, and eight wait for them.
    Runnable one = take(held);
    clock.advance(SECOND);
    Runnable other = take(held);
    clock.advance(SECOND);
    server.behave(FakeSampler::respond);
    one.run();
    other.run();
    LoadReport report = load.get(30, TimeUnit.SECONDS);

    assertThat(report.calls()).isEqualTo(10);
    assertThat(report.succeeded()).isEqualTo(10);
    assertThat(server.firstIndices()).doesNotHaveDuplicates().hasSize(10);
    // All ended at 2 s: those due at 0, 0.1, ... 0.9 s took 2, 1.9, ... 1.1 s.
    assertThat(report.latency().max()).isCloseTo(2000, within(2000 * PRECISION));
    assertThat(report.latency().p90()).isCloseTo(1900, within(1900 * PRECISION));
    assertThat(report.latency().p50()).isCloseTo(1500, within(1500 * PRECISION));
    assertThat(report.callsPerSecond()).as("none ended within the time").isZero();
  }

  @Test
  void openLoop_whenTheServerStaysBehind_countsCallsNotSent() throws Exception {
    BlockingQueue<Runnable> held = new LinkedBlockingQueue<>();
    server.behave((request, observer) -> held.add(() -> FakeSampler.respond(request, observer)));
    FutureTask<LoadReport> load = begin(() -> Load.run(open(2, 10), channels, clock));

    Runnable one = take(held);
    clock.advance(SECOND);
    Runnable other = take(held);
    clock.advance(TIMEOUT);
    one.run();
    other.run();
    LoadReport report = load.get(30, TimeUnit.SECONDS);

    assertThat(report.calls()).isEqualTo(10);
    assertThat(report.succeeded()).isEqualTo(2);
    assertThat(server.requests).hasSize(2);
    assertThat(report.errors())
        .isEqualTo(Map.of(LoadReport.NOT_SENT, new Errors(8, "due, but 2 calls were in flight")));
  }

  @Test
  void openLoop_sendsNoCallBeforeItIsDue() throws Exception {
    BlockingQueue<Runnable> begun = new LinkedBlockingQueue<>();
    server.behave((request, observer) -> begun.add(() -> FakeSampler.respond(request, observer)));
    FutureTask<LoadReport> load = begin(() -> Load.run(open(4, 10), channels, clock));

    for (int call = 0; call < 10; call++) {
      take(begun).run();
      assertThat(server.requests).hasSize(call + 1);
      clock.advance(Duration.ofMillis(100));
    }
    LoadReport report = load.get(30, TimeUnit.SECONDS);

    assertThat(report.succeeded()).isEqualTo(10);
  }

  @Test
  void callsThatFailAtOnce_neverExhaustTheStack() throws Exception {
    channels.forEach(ManagedChannel::shutdownNow);
    LoadReport report = Load.run(closed(2, 1, 0, 100_000), channels, ticking());

    assertThat(report.succeeded()).isZero();
    assertThat(report.errors()).containsOnlyKeys("UNAVAILABLE");
    assertThat(report.calls()).isGreaterThan(10_000);
    assertThat(report.latency().max()).isZero();
  }

  @Test
  void requestThatCannotBeMade_isAnErrorOfItsCall() throws Exception {
    AtomicLong failed = new AtomicLong();
    LoadPlan<GenerateRequest> plan =
        new LoadPlan<>(
            raw(SamplerServiceGrpc.getGenerateMethod()),
            number -> {
              clock.advance(TICK);
              throw new IllegalStateException("no request " + failed.getAndIncrement());
            },
            1,
            1,
            0,
            Duration.ZERO,
            Duration.ofMillis(10),
            TIMEOUT);
    LoadReport report = Load.run(plan, channels, clock);

    assertThat(report.errors()).containsOnlyKeys("CANCELLED");
    assertThat(report.errors().get("CANCELLED"))
        .satisfies(
            errors -> {
              assertThat(errors.count()).isEqualTo(10);
              assertThat(errors.firstMessage()).endsWith("no request 0");
            });
  }

  @Test
  void anyMethod_canBeLoaded() throws Exception {
    LoadReport report =
        Load.run(
            new LoadPlan<>(
                ResponseSummary.of(
                    SamplerServiceGrpc.getListModelsMethod(),
                    message -> new ResponseSummary(ResponseSummary.UNKNOWN, 1, 0, null)),
                number -> ListModelsRequest.getDefaultInstance(),
                1,
                4,
                0,
                Duration.ZERO,
                Duration.ofMillis(200),
                Duration.ZERO),
            channels,
            ticking());

    assertThat(report.errors()).isEmpty();
    assertThat(report.succeeded()).isPositive();
  }

  @Test
  void invalidPlans_areRejected() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> closed(0, 1, 0, 1))
        .withMessageContaining("concurrency 0");
    assertThatIllegalArgumentException().isThrownBy(() -> closed(1, 0, 0, 1));
    assertThatIllegalArgumentException().isThrownBy(() -> closed(1, 1, -1, 1));
    assertThatIllegalArgumentException().isThrownBy(() -> closed(1, 1, 0, 0));
    assertThatIllegalArgumentException().isThrownBy(() -> open(1, Double.NaN));
  }

  private void respondInOneTick(
      GenerateRequest request, StreamObserver<GenerateResponse> observer) {
    clock.advance(TICK);
    FakeSampler.respond(request, observer);
  }

  private void refuse(StreamObserver<GenerateResponse> observer, Status status) {
    // Without a tick, so that only successful calls advance the clock.
    observer.onError(status.asRuntimeException());
  }

  /** A clock that every reading advances by a tick. */
  private static Load.Clock ticking() {
    AtomicLong now = new AtomicLong();
    return new Load.Clock() {
      @Override
      public long nanoTime() {
        return now.addAndGet(TICK.toNanos());
      }

      @Override
      public void await(long time) {
        // Every call is due.
      }
    };
  }

  private static LoadPlan<GenerateRequest> closed(
      int concurrency, int count, int warmUpMillis, int millis) {
    return plan(
        SamplerServiceGrpc.getGenerateMethod(),
        concurrency,
        count,
        0,
        Duration.ofMillis(warmUpMillis),
        Duration.ofMillis(millis));
  }

  /** For one second. */
  private static LoadPlan<GenerateRequest> open(int concurrency, double callsPerSecond) {
    return plan(
        SamplerServiceGrpc.getGenerateMethod(),
        concurrency,
        1,
        callsPerSecond,
        Duration.ZERO,
        SECOND);
  }

  private static LoadPlan<GenerateRequest> plan(
      MethodDescriptor<GenerateRequest, GenerateResponse> method,
      int concurrency,
      int count,
      double callsPerSecond,
      Duration warmUp,
      Duration duration) {
    return new LoadPlan<>(
        raw(method),
        number ->
            GenerateRequest.newBuilder().setFirstIndex(number * count).setCount(count).build(),
        count,
        concurrency,
        callsPerSecond,
        warmUp,
        duration,
        TIMEOUT);
  }

  private static MethodDescriptor<GenerateRequest, ResponseSummary> raw(
      MethodDescriptor<GenerateRequest, GenerateResponse> method) {
    return ResponseSummary.of(method, new ResponseReader(ImageFormat.IMAGE_FORMAT_RAW));
  }

  private static FutureTask<LoadReport> begin(Callable<LoadReport> load) {
    FutureTask<LoadReport> task = new FutureTask<>(load);
    Thread thread = new Thread(task, "load");
    thread.setDaemon(true);
    thread.start();
    return task;
  }

  private static Runnable take(BlockingQueue<Runnable> held) throws InterruptedException {
    Runnable next = held.poll(30, TimeUnit.SECONDS);
    assertThat(next).as("a call that the server was to get").isNotNull();
    return next;
  }
}
