package dev.dcgan.sampler.scheduling;

import static dev.dcgan.sampler.scheduling.FailingNetwork.DEVICE_LOST;
import static dev.dcgan.sampler.scheduling.FailingNetwork.OUT_OF_MEMORY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class RunGuardTest {

  private static final int LATENT = 2;
  private static final int BYTES = 3;
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private final AtomicLong clock = new AtomicLong();
  private final List<Duration> pauses = new ArrayList<>();
  private final AtomicInteger evictions = new AtomicInteger();
  private final QueueWatch watch = new QueueWatch();
  private final DeviceHealth health = new DeviceHealth();
  private final FailingNetwork network = new FailingNetwork(LATENT, BYTES);
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();
  private Runnable duringPause = () -> {};
  private final RunGuard guard =
      new RunGuard(health, RuntimeFailure::of, TIMEOUT, clock::get, this::pause);

  @BeforeEach
  void listen() {
    guard.onOutOfMemory(evictions::incrementAndGet);
    log.start();
    logger().addAppender(log);
  }

  @AfterEach
  void end() {
    logger().detachAppender(log);
  }

  @Test
  void outOfMemory_isRetriedWithLongerPauses() {
    network.fail(OUT_OF_MEMORY, OUT_OF_MEMORY);

    long nanos = run(network, task(network));

    assertThat(nanos).as("without the pauses").isZero();
    assertThat(network.runs()).isEqualTo(3);
    assertThat(pauses).containsExactly(Duration.ofMillis(50), Duration.ofMillis(200));
    assertThat(evictions).hasValue(2);
    assertThat(watch.failures()).containsExactly(Kind.OUT_OF_MEMORY, Kind.OUT_OF_MEMORY);
    assertThat(health.isLost()).isFalse();
  }

  @Test
  void outOfMemory_thatLasts_hasARetryDelay() {
    network.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);

    RunFailedException e = failure(network, task(network));

    assertThat(e.kind()).isEqualTo(Kind.OUT_OF_MEMORY);
    assertThat(e.retryAfter()).isPositive();
    assertThat(e).hasMessageNotContainingAny("bfc_arena", "Exception", "\n");
    assertThat(network.runs()).isEqualTo(3);
    assertThat(watch.failures()).hasSize(3).containsOnly(Kind.OUT_OF_MEMORY);
    assertThat(health.isLost()).isFalse();
  }

  @Test
  void outOfMemory_whoseCallersCancel_isNotRetried() {
    network.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);
    ImageTask task = task(network);
    duringPause = () -> task.future.cancel(false);

    RunFailedException unused = failure(network, task);

    assertThat(network.runs()).isEqualTo(1);
  }

  @Test
  void lostDevice_isReported_andNoOtherBatchRuns() {
    network.fail(DEVICE_LOST);

    assertThat(failure(network, task(network)).kind()).isEqualTo(Kind.DEVICE_LOST);
    assertThat(health.whyLost().orElseThrow()).contains("digits/1", "CUDA failure 719");
    assertThat(failure(network, task(network)).kind()).isEqualTo(Kind.DEVICE_LOST);

    assertThat(network.runs()).isEqualTo(1);
    assertThat(watch.failures()).containsExactly(Kind.DEVICE_LOST);
    assertThat(log.list).hasSize(1).allMatch(line -> line.getThrowableProxy() == null);
  }

  @Test
  void deviceHealth_runsItsListenerOnce() throws InterruptedException {
    CountDownLatch heard = new CountDownLatch(1);
    AtomicInteger times = new AtomicInteger();
    health.onLost(
        reason -> {
          times.incrementAndGet();
          heard.countDown();
        });
    health.reportLost("first");
    health.reportLost("second");
    assertThat(heard.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(health.whyLost()).hasValue("first");
    assertThat(times).hasValue(1);
  }

  @Test
  void lossBeforeTheListenerIsSet_isReported() throws InterruptedException {
    health.reportLost("early");
    CountDownLatch heard = new CountDownLatch(1);
    health.onLost(reason -> heard.countDown());
    assertThat(heard.await(30, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void runThatDoesNotReturn_countsAsALostDevice() throws Exception {
    GatedNetwork gated = new GatedNetwork(LATENT, BYTES);
    BatchScheduler scheduler = scheduler(gated);
    CompletableFuture<Images> hanging = submit(scheduler);
    gated.awaitStarted();
    clock.addAndGet(TIMEOUT.toNanos());
    guard.check();
    assertThat(health.isLost()).isFalse();

    clock.addAndGet(1);
    guard.check();
    assertThat(kindOf(hanging)).isEqualTo(Kind.TIMEOUT);
    assertThat(health.whyLost().orElseThrow()).contains("digits/1", "60 s", "--batch-timeout");
    guard.check();
    gated.breakDown();
    close(scheduler, gated);
    assertThat(watch.failures()).as("counted once").containsExactly(Kind.TIMEOUT);
  }

  @Test
  void slowProfile_raisesTheLimit() throws Exception {
    GatedNetwork gated = new GatedNetwork(LATENT, BYTES);
    LatencyProfile slow = LatencyProfile.of(new int[] {1}, new long[] {TIMEOUT.toNanos()});
    BatchScheduler scheduler = scheduler(gated, slow);
    CompletableFuture<Images> running = submit(scheduler);
    gated.awaitStarted();
    clock.addAndGet(9 * TIMEOUT.toNanos());
    guard.check();
    assertThat(health.isLost()).isFalse();
    close(scheduler, gated);
    assertThat(running.get(30, TimeUnit.SECONDS).count()).isEqualTo(1);
  }

  @Test
  void lostDevice_failsNewQueuedAndRunningTasks() throws Exception {
    GatedNetwork gated = new GatedNetwork(LATENT, BYTES);
    BatchScheduler scheduler = scheduler(gated);
    CompletableFuture<Images> running = submit(scheduler);
    gated.awaitStarted();
    CompletableFuture<Images> queued = submit(scheduler);
    watch.awaitQueued(1);
    health.reportLost("for the test");

    assertThat(kindOf(submit(scheduler))).as("new").isEqualTo(Kind.DEVICE_LOST);
    scheduler.failQueued(guard.lost().orElseThrow());
    assertThat(kindOf(queued)).isEqualTo(Kind.DEVICE_LOST);
    watch.awaitQueued(0);
    guard.failRunning();
    assertThat(kindOf(running)).isEqualTo(Kind.DEVICE_LOST);
    close(scheduler, gated);
  }

  @Test
  void log_hasAStackTrace_forBugsOnly() {
    network.fail("CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED ; GPU=0");
    assertThat(failure(network, task(network)).kind()).isEqualTo(Kind.OTHER);
    assertThat(log.list).hasSize(1).allMatch(line -> line.getThrowableProxy() == null);

    GatedNetwork broken = new GatedNetwork(LATENT, BYTES);
    broken.breakDown();
    broken.permit(1);
    clock.addAndGet(Duration.ofMinutes(1).toNanos());
    assertThat(failure(broken, task(broken)).kind()).isEqualTo(Kind.FAULT);
    assertThat(log.list).hasSize(2);
    assertThat(log.list.get(1).getThrowableProxy()).isNotNull();
    assertThat(watch.failures()).extracting(Kind::reason).containsExactly("other", "other");
  }

  @Test
  void log_isLimitedToOneLineAMinute() {
    for (int i = 0; i < 5; i++) {
      network.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);
      RunFailedException unused = failure(network, task(network));
    }
    assertThat(log.list).hasSize(1);
    assertThat(log.list.get(0).getFormattedMessage())
        .contains("model=digits/1", "reason=out_of_memory", "attempts=3", "Available memory of 0");
    assertThat(log.list.get(0).getThrowableProxy()).isNull();

    clock.addAndGet(Duration.ofMinutes(1).toNanos());
    network.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);
    RunFailedException unused = failure(network, task(network));
    assertThat(log.list).hasSize(2);
    assertThat(log.list.get(1).getFormattedMessage()).contains("suppressed=4");
  }

  private void pause(Duration duration) {
    pauses.add(duration);
    duringPause.run();
  }

  private BatchScheduler scheduler(Network of) {
    return scheduler(of, LatencyProfile.of(new int[] {1}, new long[] {1000}));
  }

  private BatchScheduler scheduler(Network of, LatencyProfile profile) {
    return BatchScheduler.start(
        "digits/1",
        List.of(of),
        profile,
        new BatchingPolicy(1, Duration.ZERO, 10),
        watch,
        guard,
        clock::get);
  }

  private static CompletableFuture<Images> submit(BatchScheduler scheduler) throws Exception {
    return scheduler.submit(
        scheduler.admit("caller", 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE),
        new float[LATENT],
        Network.NO_LABELS,
        Output.PIXELS,
        Runnable::run);
  }

  private static void close(BatchScheduler scheduler, GatedNetwork network)
      throws InterruptedException {
    scheduler.close();
    network.permit(1000);
    assertThat(network.awaitClosed()).isTrue();
  }

  private static ImageTask task(Network network) {
    int bytes = network.imageBytes(Output.PIXELS);
    return new ImageTask(
        new float[LATENT], Network.NO_LABELS, LATENT, Output.PIXELS, bytes, Runnable::run);
  }

  private long run(Network of, ImageTask task) {
    return guard.run("digits/1", of, List.of(new BatchSlice(task, 0, 1)), 1000, watch);
  }

  private RunFailedException failure(Network of, ImageTask task) {
    return (RunFailedException) catchThrowable(() -> run(of, task));
  }

  private static Kind kindOf(CompletableFuture<Images> failed) {
    ExecutionException e =
        (ExecutionException) catchThrowable(() -> failed.get(30, TimeUnit.SECONDS));
    return ((RunFailedException) Objects.requireNonNull(e.getCause())).kind();
  }

  private static Logger logger() {
    // Those of RunGuard, FailureLog and DeviceHealth.
    return (Logger) LoggerFactory.getLogger("dev.dcgan.sampler.scheduling");
  }
}
