package dev.dcgan.sampler.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.onnxruntime.OrtException;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.SigningKey;
import dev.dcgan.model.TrustedKeys;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelWatcherTest {

  private static final long A_MIB = 1 << 20;
  private static final Duration POLL = Duration.ofMillis(10);

  @TempDir private Path root;

  private final BlockingQueue<String> served = new LinkedBlockingQueue<>();
  private final BlockingQueue<String> loads = new LinkedBlockingQueue<>();
  private final Map<String, GatedNetwork> networks = new ConcurrentHashMap<>();
  private final Map<String, Semaphore> gates = new ConcurrentHashMap<>();
  private final AtomicInteger rejected = new AtomicInteger();
  private final AtomicInteger replaced = new AtomicInteger();
  private final AtomicInteger fetched = new AtomicInteger();
  private final AtomicInteger inMemory = new AtomicInteger();
  private final AtomicInteger overdue = new AtomicInteger();
  private final DeviceHealth health = new DeviceHealth();

  /** By default an hour passes at each look, so that no load is too early. */
  private LongSupplier clock =
      new LongSupplier() {
        private final AtomicLong hours = new AtomicLong();

        @Override
        public long getAsLong() {
          return TimeUnit.HOURS.toNanos(hours.getAndIncrement());
        }
      };

  private final Semaphore failedLoads = new Semaphore(0);
  private final Semaphore looks = new Semaphore(0);
  private volatile @Nullable Throwable failure;
  private volatile @Nullable String failsUntilClosed;
  private volatile Runnable beforeFailure = () -> {};
  private @Nullable ModelWatcher watcher;
  private @Nullable TrustedKeys trusted;

  @AfterEach
  void end() throws InterruptedException {
    gates.values().forEach(gate -> gate.release(1000));
    if (watcher != null) {
      watcher.close();
      assertThat(watcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
      assertThat(watcher.models().close(Duration.ofSeconds(30))).isTrue();
    }
    assertThat(networks.values()).allMatch(GatedNetwork::isClosed);
  }

  @Test
  void unreadableRepository_isNamed() throws Exception {
    publish(1);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    Path away = root.resolveSibling(root.getFileName() + "-away");
    Files.move(root, away);
    Files.createFile(root);
    awaitLook();
    assertThat(models.skipped())
        .singleElement()
        .satisfies(skipped -> assertThat(skipped.path()).isEqualTo(Path.of(".")))
        .satisfies(
            skipped ->
                assertThat(skipped.reason())
                    .startsWith("cannot be read: ")
                    .doesNotContain(root.toString()));

    Files.delete(root);
    Files.move(away, root);
    awaitLook();
    assertThat(models.skipped()).isEmpty();
  }

  @Test
  void unreadableManifest_isNamed() throws Exception {
    publish(1);
    publish(2);
    Path manifest = root.resolve("digits/2/manifest.json");
    Files.delete(manifest);
    Files.createSymbolicLink(manifest, Files.createDirectory(root.resolve("digits/.x")));
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    awaitLook();
    assertThat(models.skipped())
        .singleElement()
        .satisfies(skipped -> assertThat(skipped.path()).isEqualTo(Path.of("digits/2")))
        .satisfies(skipped -> assertThat(skipped.reason()).contains("manifest.json"));
  }

  @Test
  void unreadableVersion_isRetried_whileTheOneBeforeServes() throws Exception {
    assertServesThePreviousVersion(new IOException("the disk is gone"));
  }

  @Test
  void versionOutOfMemory_isRetried_whileTheOneBeforeServes() throws Exception {
    assertServesThePreviousVersion(new OutOfMemoryError("no direct memory"));
  }

  @Test
  void vanishedRepository_staysServed_andIsPolledAgain() throws Exception {
    publish(1);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    Path away = root.resolveSibling(root.getFileName() + "-away");
    Files.move(root, away);
    awaitLook();
    use(models, "", 0);

    Files.move(away, root);
    publish(2);
    assertThat(nextServed()).isEqualTo("digits/2");
    assertThat(rejected).hasValue(0);
  }

  @Test
  void withTrustedKeys_onlySignedVersionsAreServed(@TempDir Path keys) throws Exception {
    SigningKey.generate(keys.resolve("secret.pem"), keys.resolve("trusted.pem"));
    trusted = TrustedKeys.read(keys.resolve("trusted.pem"));
    TestModels.publish(
        ModelRepository.signing(root, SigningKey.read(keys.resolve("secret.pem"))), "digits", 1, 1);
    publish(2);

    ModelRegistry models = watch(1, A_MIB);

    assertThat(nextServed()).isEqualTo("digits/1");
    awaitSettled();
    assertThat(models.skipped())
        .singleElement()
        .satisfies(skipped -> assertThat(skipped.path()).isEqualTo(Path.of("digits/2")))
        .satisfies(
            skipped ->
                assertThat(skipped.reason())
                    .contains("manifest.sig is missing")
                    .doesNotContain(root.toString(), keys.toString()));
    assertThat(rejected).hasValue(1);
  }

  @Test
  void versionsToKeep_areTheOneInServiceAndTheNewestOthers() throws Exception {
    for (int version = 1; version <= 4; version++) {
      publish(version);
    }
    ModelRegistry models = watch(2, 0);
    assertThat(nextServed()).isEqualTo("digits/4");
    awaitLook();
    assertThat(List.of(loads.take(), loads.take())).containsExactly("digits/4", "digits/3");
    use(models, "digits", 3);
    assertThat(errorOf(models, "digits", 2)).contains("no room", "version 2 of digits");

    publish(5);
    assertThat(nextServed()).isEqualTo("digits/5");
    assertThat(network("digits/3").awaitClosed()).isTrue();
    use(models, "digits", 4);
    awaitLook();
    assertThat(inMemory).hasValue(2);
    assertThat(loads).containsExactly("digits/5");
  }

  @Test
  void versionOnDemand_isLoadedOnceForAllCallers() throws Exception {
    publish(1);
    publish(2);
    Semaphore gate = gate("digits/1");
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    List<CompletableFuture<ServedVersion>> waiters = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      waiters.add(models.acquire("digits", 1));
    }
    assertThat(waiters).noneMatch(CompletableFuture::isDone);
    assertThat(waiters.get(2).cancel(false)).isTrue();
    gate.release();

    for (CompletableFuture<ServedVersion> waiter : waiters) {
      if (!waiter.isCancelled()) {
        ServedVersion model = waiter.get(30, TimeUnit.SECONDS);
        assertThat(model).hasToString("digits/1");
        model.release();
      }
    }
    CompletableFuture<ServedVersion> again = models.acquire("digits", 1);
    assertThat(again).as("in memory").isDone();
    again.join().release();
    awaitLook();
    assertThat(loads).containsExactly("digits/2", "digits/1");
    assertThat(fetched).hasValue(1);
    assertThat(models.loadedVersions()).isEqualTo(2);
  }

  @Test
  void versionThatNobodyAwaits_isNotLoaded() throws Exception {
    for (int version = 1; version <= 3; version++) {
      publish(version);
    }
    Semaphore gate = gate("digits/1");
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    CompletableFuture<ServedVersion> first = models.acquire("digits", 1);
    CompletableFuture<ServedVersion> second = models.acquire("digits", 2);
    second.cancel(false);
    gate.release();
    first.get(30, TimeUnit.SECONDS).release();
    awaitLook();
    assertThat(loads).containsExactly("digits/3", "digits/1");
  }

  @Test
  void memory_isTakenFromTheLeastRecentlyUsedIdleVersion() throws Exception {
    for (int version = 1; version <= 4; version++) {
      publish(version);
    }
    long each = new ModelRepository(root).open("digits", 1).manifest().getOnnxBytes();
    ModelRegistry models = watch(1, 2 * each);
    assertThat(nextServed()).isEqualTo("digits/4");
    awaitLook();
    use(models, "digits", 1);
    use(models, "digits", 2);
    use(models, "digits", 1);
    ServedVersion third = models.acquire("digits", 3).get(30, TimeUnit.SECONDS);
    assertThat(network("digits/2").awaitClosed()).as("used before 1 was").isTrue();
    assertThat(network("digits/1").isClosed()).isFalse();

    ServedVersion first = models.acquire("digits", 1).get(30, TimeUnit.SECONDS);
    assertThat(errorOf(models, "digits", 2)).contains("are in use");
    assertThat(network("digits/1").isClosed()).isFalse();
    third.release();
    use(models, "digits", 2);
    assertThat(network("digits/3").awaitClosed()).isTrue();
    first.release();
    awaitLook();
    assertThat(inMemory).hasValue(3);
  }

  @Test
  void invalidVersionOnDemand_isRejected_untilItsFilesChange() throws Exception {
    publish(1);
    publish(2);
    Path onnx = root.resolve("digits/1/model.onnx");
    byte[] bytes = Files.readAllBytes(onnx);
    Files.write(onnx, new byte[] {1});
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    assertThat(errorOf(models, "digits", 1)).contains("version 1 of digits cannot be used");
    assertThat(errorOf(models, "digits", 1)).contains("has 1 bytes; its manifest says");
    assertThat(models.list().get(0).available()).containsExactly(2L);
    awaitSettled();
    assertThat(rejected).hasValue(1);

    Files.write(onnx, bytes);
    awaitLook();
    use(models, "digits", 1);
    assertThat(models.list().get(0).available()).containsExactly(2L, 1L);
  }

  @Test
  void describe_readsNoModel_loadVerifiesIt() throws Throwable {
    publish(1);
    publish(2);
    Path onnx = root.resolve("digits/1/model.onnx");
    byte[] bytes = Files.readAllBytes(onnx);
    byte[] damaged = bytes.clone();
    damaged[bytes.length / 2] ^= 1;
    Files.write(onnx, damaged);
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    assertThat(describe(models, 1).manifest())
        .isEqualTo(new ModelRepository(root).describe("digits", 1).manifest());
    assertThat(describe(models, 1).available()).containsExactly(2L, 1L);
    assertThat(rejected).hasValue(0);

    assertThat(errorOf(models, "digits", 1)).contains("SHA-256");
    assertThat(catchThrowable(() -> describe(models, 1))).hasMessageContaining("SHA-256");
    assertThat(models.list().get(0).available()).containsExactly(2L);
    awaitSettled();
    assertThat(rejected).hasValue(1);
  }

  @Test
  void versionWithoutRoom_isRejectedWithoutReadingItsModel() throws Exception {
    publish(1);
    publish(2);
    Path onnx = root.resolve("digits/1/model.onnx");
    byte[] bytes = Files.readAllBytes(onnx);
    bytes[bytes.length / 2] ^= 1;
    Files.write(onnx, bytes);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    assertThat(errorOf(models, "digits", 1)).contains("no room", "version 1 of digits");
    assertThat(rejected).hasValue(0);
  }

  @Test
  void versionWithoutAManifest_isReadOnce_untilItsFilesChange() throws Exception {
    Path model = root.resolve("cats");
    bare(model, 1, 10);
    bare(model, 2, 20);
    ModelRegistry models = watch(List.of(), 1, 0, true);
    assertThat(nextServed()).isEqualTo("cats/2");
    awaitLook();
    Path onnx = model.resolve("1/model.onnx");
    FileTime time = Files.getLastModifiedTime(onnx);
    ModelStatus first = models.get("cats", 1).get(30, TimeUnit.SECONDS);
    Files.write(onnx, TestModels.onnx(TestModels.weights(1, 30)));
    Files.setLastModifiedTime(onnx, time);
    assertThat(models.get("cats", 1).get(30, TimeUnit.SECONDS)).isEqualTo(first);

    Files.setLastModifiedTime(onnx, FileTime.fromMillis(time.toMillis() + 1000));
    assertThat(models.get("cats", 1).get(30, TimeUnit.SECONDS).manifest().getModel().getSha256())
        .isNotEqualTo(first.manifest().getModel().getSha256());
  }

  @Test
  void replacedVersion_staysServed_andIsNamedOnce() throws Exception {
    bare(root.resolve("cats"), 1, 10);
    ModelRegistry models = watch(List.of(), 1, A_MIB, true);
    assertThat(nextServed()).isEqualTo("cats/1");
    String served = models.list().get(0).manifest().getModel().getSha256();
    bare(root.resolve("cats"), 1, 20);
    awaitSettled();
    awaitSettled();
    assertThat(replaced).hasValue(1);
    assertThat(models.list().get(0).manifest().getModel().getSha256()).isEqualTo(served);
    use(models, "cats", 1);

    bare(root.resolve("cats"), 1, 10);
    awaitSettled();
    assertThat(replaced).as("the same content again").hasValue(1);
    assertThat(models.list().get(0).available()).containsExactly(1L);
  }

  @Test
  void replacedVersion_isNotLoadedAgain() throws Exception {
    publish(1);
    publish(2);
    publish(3);
    long each = new ModelRepository(root).open("digits", 1).manifest().getOnnxBytes();
    ModelRegistry models = watch(1, each);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    use(models, "digits", 1);
    use(models, "digits", 2);
    assertThat(network("digits/1").awaitClosed()).as("evicted").isTrue();
    Path another = root.resolve("other");
    TestModels.publish(new ModelRepository(another), "digits", 1, 9);
    for (String file : List.of("model.onnx", "manifest.json")) {
      Files.copy(
          another.resolve("digits/1").resolve(file),
          root.resolve("digits/1").resolve(file),
          StandardCopyOption.REPLACE_EXISTING);
    }
    assertThat(errorOf(models, "digits", 1)).contains("was replaced on disk");
    awaitSettled();
    assertThat(errorOf(models, "digits", 1)).contains("was replaced on disk");
    assertThat(models.list().get(0).available()).containsExactly(3L, 2L);
  }

  @Test
  void misplacedFolders_doNotKeepOthersFromBeingServed() throws Exception {
    publish("cats");
    bare(root.resolve("Faces"), 1, 1);
    Files.createFile(root.resolve("digits"));
    Files.createSymbolicLink(root.resolve("loop"), Path.of("loop"));
    watch(1, 0);
    assertThat(nextServed()).isEqualTo("cats/1");
    awaitLook();
    assertThat(rejected).hasValue(0);
  }

  @Test
  void versionThatCannotBeLoadedNow_isUnavailable_andLoadedLater() throws Exception {
    publish(1);
    publish(2);
    publish(3);
    failure = new IOException("the disk is gone");
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    Throwable refused = catchThrowable(() -> acquire(models, "digits", 2));
    assertThat(((NotServedException) refused).why()).isEqualTo(Why.UNAVAILABLE);
    failure = null;
    use(models, "digits", 2);
  }

  @Test
  void versionThatIsDeleted_leavesMemory_butTheOneInServiceStays() throws Exception {
    publish(1);
    publish(2);
    publish(3);
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    use(models, "digits", 1);
    delete(root.resolve("digits/1"));
    delete(root.resolve("digits/3"));
    awaitLook();
    assertThat(network("digits/1").awaitClosed()).isTrue();
    use(models, "digits", 3);
    assertThat(errorOf(models, "digits", 1)).contains("version 1 of digits", "2, 3");
  }

  @Test
  void pinOfAnotherProcess_isFollowed_andUnpinned() throws Exception {
    publish(1);
    publish(2);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/2");
    ModelRepository another = new ModelRepository(root);
    another.pin("digits", 1);
    assertThat(nextServed()).isEqualTo("digits/1");
    publish(3);
    awaitLook();
    assertThat(models.list().get(0))
        .returns(1L, ModelStatus::serving)
        .returns(1L, ModelStatus::pinned)
        .returns(List.of(3L, 2L, 1L), ModelStatus::available);
    Files.writeString(another.pinFile("digits"), "damaged");
    awaitLook();
    assertThat(models.list().get(0)).returns(1L, ModelStatus::serving);
    another.unpin("digits");
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    assertThat(models.list().get(0)).returns(0L, ModelStatus::pinned);
  }

  @Test
  void pinOfAVersionThatIsMissingOrInvalid_changesNothing() throws Exception {
    publish(1);
    publish(2);
    Files.write(root.resolve("digits/2/model.onnx"), new byte[] {1});
    new ModelRepository(root).pin("digits", 7);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed())
        .as("the newest valid one, as none is in service")
        .isEqualTo("digits/1");
    new ModelRepository(root).pin("digits", 2);
    publish(3);
    awaitSettled();
    assertThat(models.list().get(0)).returns(1L, ModelStatus::serving);
    assertThat(rejected).hasValue(1);
  }

  @Test
  void setServing_ofAnInvalidVersion_changesNothing() throws Exception {
    publish(1);
    publish(2);
    publish(3);
    Files.write(root.resolve("digits/1/model.onnx"), new byte[] {1});
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    assertThat(setServingRefused(models, 1)).isEqualTo(Why.WRONG_STATE);
    assertThat(setServingRefused(models, 9)).isEqualTo(Why.NOT_FOUND);
    failure = new IOException("the disk is gone");
    assertThat(setServingRefused(models, 2)).isEqualTo(Why.UNAVAILABLE);
    failure = null;
    // A folder that no file can replace.
    Files.createDirectories(root.resolve("digits/.serving-version/x"));
    assertThat(setServingRefused(models, 2)).isEqualTo(Why.WRONG_STATE);
    awaitLook();
    assertThat(models.list().get(0))
        .returns(3L, ModelStatus::serving)
        .returns(0L, ModelStatus::pinned);
    assertThat(network("digits/2").awaitClosed()).as("loaded for nothing").isTrue();
  }

  @Test
  void setServing_completesWhenTheVersionIsInService() throws Exception {
    publish(1);
    publish(2);
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/2");
    ModelStatus pinned = models.setServing("digits", 1).get(30, TimeUnit.SECONDS);
    assertThat(pinned).returns(1L, ModelStatus::serving).returns(1L, ModelStatus::pinned);
    assertThat(new ModelRepository(root).pinned("digits")).hasValue(1);
    use(models, "", 1);
    ModelStatus unpinned = models.setServing("", 0).get(30, TimeUnit.SECONDS);
    assertThat(unpinned).returns(2L, ModelStatus::serving).returns(0L, ModelStatus::pinned);
    assertThat(new ModelRepository(root).pinned("digits")).isEmpty();
  }

  @Test
  void severalModels_areServedConcurrently() throws Exception {
    publish("cats");
    publish("digits");
    publish("faces");
    ModelRegistry models = watch(List.of("digits", "faces"), 1, 0);
    assertThat(List.of(nextServed(), nextServed())).containsExactly("digits/1", "faces/1");
    awaitLook();
    use(models, "faces", 0);
    use(models, "digits", 1);
    assertThat(errorOf(models, "", 0)).contains("(digits, faces)");
    assertThat(errorOf(models, "cats", 0)).contains("'cats' is not served", "'digits'", "'faces'");
    assertThat(models.list())
        .extracting(status -> status.manifest().getModel().getName())
        .containsExactly("digits", "faces");
  }

  @Test
  void ready_waitsForAllNamedModels() throws Exception {
    publish("digits");
    watch(List.of("digits", "faces"), 1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    assertThat(looks.availablePermits()).isZero();
    publish("faces");
    assertThat(nextServed()).isEqualTo("faces/1");
    awaitLook();
  }

  @Test
  void afterClose_newAndWaitingCallsAreUnavailable() throws Exception {
    publish(1);
    publish(2);
    Semaphore gate = gate("digits/1");
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    CompletableFuture<ServedVersion> waiting = models.acquire("digits", 1);
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(catchThrowable(waiting::join)).hasCauseInstanceOf(NotServedException.class);
    assertThat(errorOf(models, "digits", 0)).startsWith("no model is served");
    gate.release();
  }

  @Test
  void loadOutOfMemory_backsOff_untilFilesChange() throws Exception {
    AtomicLong now = new AtomicLong();
    clock = now::get;
    publish(1);
    publish(2);
    failure = outOfMemory();
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    long delay = POLL.toNanos();
    for (int attempt = 1; attempt <= 4; attempt++) {
      assertThat(failedLoads.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
      awaitLook(); // It has noted the time.
      now.addAndGet(delay - 1);
      awaitLook();
      assertThat(failedLoads.availablePermits()).as("attempt %d, too early", attempt).isZero();
      now.addAndGet(1);
      delay *= 2;
    }
    assertThat(failedLoads.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
    awaitLook();
    Path onnx = root.resolve("digits/2/model.onnx");
    Files.setLastModifiedTime(onnx, FileTime.fromMillis(0));
    assertThat(failedLoads.tryAcquire(30, TimeUnit.SECONDS)).as("its files changed").isTrue();
    assertThat(rejected).as("counted once").hasValue(1);
    assertThat(models.list().get(0).available()).as("not damaged").containsExactly(2L, 1L);
    use(models, "digits", 1);

    failure = null;
    Files.setLastModifiedTime(onnx, FileTime.fromMillis(1000));
    assertThat(nextServed()).isEqualTo("digits/2");
  }

  @Test
  void loadOutOfMemory_evictsIdleVersions_andSucceedsInTheirRoom() throws Exception {
    publish(1);
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/1");
    publish("cats");
    assertThat(nextServed()).isEqualTo("cats/1");
    publish(2);
    assertThat(nextServed()).isEqualTo("digits/2");
    use(models, "digits", 1);
    ServedVersion inUse = models.acquire("digits", 2).get(30, TimeUnit.SECONDS);
    failsUntilClosed = "digits/1";
    publish(3);
    assertThat(nextServed()).isEqualTo("digits/3");
    assertThat(network("digits/1").isClosed()).isTrue();
    assertThat(network("cats/1").isClosed()).as("in service").isFalse();
    assertThat(rejected).hasValue(0);
    inUse.release();
  }

  @Test
  void loadOutOfMemory_onDemand_isUnavailable_andBacksOff() throws Exception {
    AtomicLong now = new AtomicLong();
    clock = now::get;
    for (int version = 1; version <= 3; version++) {
      publish(version);
    }
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLook();
    use(models, "digits", 1);
    failure = outOfMemory();
    assertThat(catchThrowable(() -> acquire(models, "digits", 2)))
        .isInstanceOfSatisfying(
            NotServedException.class, e -> assertThat(e.why()).isEqualTo(Why.UNAVAILABLE));
    assertThat(failedLoads.drainPermits())
        .as("again, once another version was evicted")
        .isEqualTo(2);
    assertThat(errorOf(models, "digits", 2)).contains("try again in 1 s");
    assertThat(failedLoads.availablePermits()).isZero();

    failure = null;
    now.addAndGet(POLL.toNanos());
    use(models, "digits", 2);
    assertThat(rejected).hasValue(0);
  }

  @Test
  void deviceLostWhileLoading_isReported_andNoVersionIsDamaged() throws Exception {
    publish(1);
    ModelRegistry models = watch(1, A_MIB);
    assertThat(nextServed()).isEqualTo("digits/1");
    failure =
        new IOException(
            "ONNX Runtime cannot run it",
            new OrtException("CUDA failure 700: an illegal memory access was encountered ; GPU=0"));
    CountDownLatch lost = new CountDownLatch(1);
    health.onLost(reason -> lost.countDown());
    publish(2);
    assertThat(lost.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(health.whyLost().orElseThrow()).contains("digits/2", "CUDA failure 700");
    assertThat(models.list().get(0)).returns(1L, ModelStatus::serving);
    // The version is not reported as damaged, whatever its load reports now.
    failure = new InvalidModelException("images differ");
    Throwable refused = catchThrowable(() -> models.setServing("digits", 2).get());
    assertThat(((NotServedException) Objects.requireNonNull(refused.getCause())).why())
        .isEqualTo(Why.UNAVAILABLE);
    assertThat(failedLoads.availablePermits()).as("no load after the loss").isEqualTo(1);
    assertThat(rejected).hasValue(0);
  }

  @Test
  void versionThatSeemsDamaged_onALostDevice_isNotRejected() throws Exception {
    publish(1);
    publish(2);
    failure = new InvalidModelException("images differ");
    beforeFailure = () -> health.reportLost("found by a batch meanwhile");
    ModelRegistry models = watch(1, A_MIB);
    assertThat(failedLoads.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    Objects.requireNonNull(watcher).close();
    assertThat(watcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
    assertThat(rejected).hasValue(0);
    assertThat(served).isEmpty();
  }

  private static IOException outOfMemory() {
    return new IOException(
        "ONNX Runtime cannot open it",
        new OrtException("Available memory of 16 is smaller than requested bytes of 32"));
  }

  private void assertServesThePreviousVersion(Throwable error) throws Exception {
    publish(1);
    publish(2);
    failure = error;
    ModelRegistry models = watch(1, 0);
    assertThat(nextServed()).isEqualTo("digits/1");
    assertThat(failedLoads.tryAcquire(3, 30, TimeUnit.SECONDS)).as("tried again").isTrue();
    assertThat(rejected).hasValue(1);
    assertThat(models.skipped())
        .singleElement()
        .satisfies(skipped -> assertThat(skipped.path()).isEqualTo(Path.of("digits/2")))
        .satisfies(
            skipped ->
                assertThat(skipped.reason())
                    .startsWith("cannot be loaded now: ")
                    .contains(String.valueOf(error.getMessage())));

    failure = null;
    assertThat(nextServed()).isEqualTo("digits/2");
    awaitLook();
    assertThat(models.skipped()).isEmpty();
  }

  private void publish(long seed) throws IOException {
    TestModels.publish(new ModelRepository(root), "digits", 1, seed);
  }

  private void publish(String model) throws IOException {
    TestModels.publish(new ModelRepository(root), model, 1, 1);
  }

  private ModelRegistry watch(int keepVersions, long onDemandBytes) {
    return watch(List.of(), keepVersions, onDemandBytes);
  }

  private ModelRegistry watch(List<String> names, int keepVersions, long onDemandBytes) {
    return watch(names, keepVersions, onDemandBytes, false);
  }

  private ModelRegistry watch(
      List<String> names, int keepVersions, long onDemandBytes, boolean allowUnverified) {
    ModelWatcher started =
        new ModelWatcher(
            new ModelWatcherConfig(
                ModelRepository.trusting(root, trusted),
                names,
                POLL,
                keepVersions,
                onDemandBytes,
                1,
                true,
                allowUnverified),
            this::load,
            new ModelListener() {
              @Override
              public void serving(ServedVersion model, @Nullable ServedVersion before) {
                served.add(model.toString());
              }

              @Override
              public void rejected(String model) {
                rejected.incrementAndGet();
              }

              @Override
              public void replaced(String model) {
                replaced.incrementAndGet();
              }

              @Override
              public void fetched() {
                fetched.incrementAndGet();
              }

              @Override
              public void inMemory(int versions) {
                inMemory.set(versions);
              }

              @Override
              public void overdueLoads(int loads) {
                overdue.set(loads);
              }

              @Override
              public void onDisk(String model, long newest, long pinned) {}
            },
            health,
            clock);
    watcher = started;
    started.start(looks::release);
    return started.models();
  }

  /** Version 2 fails while {@link #failure} is set. */
  private ServedVersion load(ModelBundle bundle) throws IOException {
    Throwable error = failure;
    if (error != null && bundle.version() == 2) {
      beforeFailure.run();
      failedLoads.release();
      if (error instanceof IOException e) {
        throw e;
      }
      throw (Error) error;
    }
    String needed = failsUntilClosed;
    if (needed != null && !network(needed).isClosed()) {
      throw outOfMemory();
    }
    Semaphore gate = gates.get(bundle.toString());
    if (gate != null) {
      gate.acquireUninterruptibly();
    }
    byte[] unused = bundle.readModel(); // It is verified by that.
    loads.add(bundle.toString());
    GatedNetwork network = new GatedNetwork(TestModels.LATENT, 14 * 14);
    networks.put(bundle.toString(), network);
    return ServedVersion.start(
        bundle,
        Provider.CPU,
        List.of(network),
        GatedNetwork.TIMES,
        new BatchingPolicy(1, Duration.ZERO, 1),
        new QueueWatch());
  }

  /** A gate that loading the version waits for. */
  private Semaphore gate(String version) {
    Semaphore gate = new Semaphore(0);
    gates.put(version, gate);
    return gate;
  }

  private GatedNetwork network(String version) {
    return Objects.requireNonNull(networks.get(version), version + " was not loaded");
  }

  private @Nullable String nextServed() throws InterruptedException {
    return served.poll(30, TimeUnit.SECONDS);
  }

  /** Waits for the end of a look that begins after this call. */
  private void awaitLook() throws InterruptedException {
    looks.drainPermits();
    assertThat(looks.tryAcquire(2, 30, TimeUnit.SECONDS)).isTrue();
  }

  /** Waits until files that do not change any more count as settled. */
  private void awaitSettled() throws InterruptedException {
    awaitLook();
    awaitLook();
    awaitLook();
  }

  private static void bare(Path model, long version, long seed) throws IOException {
    Path folder = Files.createDirectories(model.resolve(Long.toString(version)));
    Files.write(folder.resolve("model.onnx"), TestModels.onnx(TestModels.weights(1, seed)));
  }

  private static ModelStatus describe(ModelRegistry models, long version) throws Throwable {
    try {
      return models.get("digits", version).get(30, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw e.getCause();
    }
  }

  private static ServedVersion acquire(ModelRegistry models, String model, long version)
      throws Throwable {
    try {
      return models.acquire(model, version).get(30, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw e.getCause();
    }
  }

  private static void use(ModelRegistry models, String model, long version) throws Exception {
    ServedVersion used = models.acquire(model, version).get(30, TimeUnit.SECONDS);
    if (version != 0) {
      assertThat(used.version().getVersion()).isEqualTo(version);
    }
    used.release();
  }

  private static String errorOf(ModelRegistry models, String model, long version) {
    return String.valueOf(catchThrowable(() -> acquire(models, model, version)).getMessage());
  }

  private static Why setServingRefused(ModelRegistry models, long version) {
    Throwable refused =
        catchThrowable(() -> models.setServing("digits", version).get(30, TimeUnit.SECONDS));
    return ((NotServedException) Objects.requireNonNull(refused.getCause())).why();
  }

  private static void delete(Path folder) throws IOException {
    Files.delete(folder.resolve("model.onnx"));
    Files.delete(folder.resolve("manifest.json"));
    Files.delete(folder);
  }
}
