package dev.dcgan.sampler.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.TestModels;
import dev.dcgan.sampler.batch.BatchPolicy;
import dev.dcgan.sampler.batch.GatedNetwork;
import dev.dcgan.sampler.batch.QueueWatch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelWatcherTest {

  @TempDir private Path root;

  private final ActiveModel active = new ActiveModel();
  private final BlockingQueue<String> served = new LinkedBlockingQueue<>();
  private final AtomicInteger rejected = new AtomicInteger();
  private final Semaphore failedLoads = new Semaphore(0);
  private volatile @Nullable Throwable failure;
  private @Nullable ModelWatcher watcher;

  @AfterEach
  void end() throws InterruptedException {
    if (watcher != null) {
      watcher.close();
      assertThat(watcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
    }
    assertThat(active.close(Duration.ofSeconds(30))).isTrue();
  }

  @Test
  void versionThatCannotBeRead_isTriedAgain_countedOnce_andTheOneBeforeServes() throws Exception {
    assertServesTheOneBefore(new IOException("the disk is gone"));
  }

  @Test
  void versionThatFindsNoMemory_isTriedAgain_countedOnce_andTheOneBeforeServes() throws Exception {
    assertServesTheOneBefore(new OutOfMemoryError("no direct memory"));
  }

  @Test
  void repositoryThatVanishes_isServedOn_andNewerVersionsAreFoundWhenItIsBack() throws Exception {
    publish(1);
    watch();
    assertThat(nextServed()).isEqualTo("digits/1");
    Path away = root.resolveSibling(root.getFileName() + "-away");
    Files.move(root, away);
    assertThat(active.acquire()).isNotNull().satisfies(LoadedModel::release);

    Files.move(away, root);
    publish(2);
    assertThat(nextServed()).isEqualTo("digits/2");
    assertThat(rejected).hasValue(0);
  }

  private void assertServesTheOneBefore(Throwable trouble) throws Exception {
    publish(1);
    publish(2);
    failure = trouble;
    watch();
    assertThat(nextServed()).isEqualTo("digits/1");
    assertThat(failedLoads.tryAcquire(3, 30, TimeUnit.SECONDS)).as("tried again").isTrue();
    assertThat(rejected).hasValue(1);

    failure = null;
    assertThat(nextServed()).isEqualTo("digits/2");
  }

  private void publish(long seed) throws IOException {
    TestModels.publish(new ModelRepository(root), "digits", 1, seed);
  }

  private void watch() {
    watcher =
        ModelWatcher.start(
            new ModelRepository(root),
            "digits",
            Duration.ofMillis(10),
            this::load,
            active,
            new ModelWatcher.Listener() {
              @Override
              public void serving(LoadedModel model) {
                served.add(model.toString());
              }

              @Override
              public void rejected() {
                rejected.incrementAndGet();
              }
            });
  }

  /** Version 2 has the trouble, while there is one. */
  private LoadedModel load(ModelBundle bundle) throws IOException {
    Throwable trouble = failure;
    if (trouble != null && bundle.version() == 2) {
      failedLoads.release();
      if (trouble instanceof IOException e) {
        throw e;
      }
      throw (Error) trouble;
    }
    return LoadedModel.start(
        bundle,
        Provider.CPU,
        List.of(new GatedNetwork(TestModels.LATENT, 14 * 14)),
        GatedNetwork.TIMES,
        new BatchPolicy(1, Duration.ZERO, 1),
        new QueueWatch());
  }

  private @Nullable String nextServed() throws InterruptedException {
    return served.poll(30, TimeUnit.SECONDS);
  }
}
