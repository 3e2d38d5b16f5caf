package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.dcgan.faults.FaultSettings.TimeBudget;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SetServingVersionRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Kills samplers under load while versions appear, retire and are pinned. */
@ExtendWith(FaultTable.class)
class KillSamplerFaults {

  private static final int CALLERS = 4;
  private static final int DEADLINE_MILLIS = 20_000;

  @TempDir private static Path folder;
  private static SmallModels models;

  @BeforeAll
  static void train() throws Exception {
    models = SmallModels.train(folder);
  }

  @Test
  @DisplayName("kill -9: sampler serve, pinning")
  void pin(FaultRow row) throws Exception {
    row.checked("the pin is one of the two, not damaged; images of each version the same bytes");
    Path repository = folder.resolve("pinned");
    models.publish(repository);
    models.publish(repository);
    underKills(
        row,
        repository,
        sampler -> {
          // Until the kill takes the answer away.
          for (long version = 1; ; version = 3 - version) {
            var unused =
                SamplerServiceGrpc.newBlockingStub(sampler.channel())
                    .setServingVersion(
                        SetServingVersionRequest.newBuilder()
                            .setModel(SmallModels.NAME)
                            .setVersion(version)
                            .build());
          }
        });
    ModelRepository pinned = new ModelRepository(repository);
    assertThat(pinned.pinned(SmallModels.NAME).orElse(0)).isIn(1L, 2L);
    List<Path> left = Repositories.leftovers(repository);
    for (Path file : left) { // As if they were old, because concurrent pins have such files too.
      Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
    }
    pinned.pin(SmallModels.NAME, 1);
    assertThat(Repositories.leftovers(repository)).isEmpty();
    row.result("a later pin deletes %d temporary files", left.size());
  }

  @Test
  @DisplayName("kill -9: sampler serve, versions appear and retire")
  void swap(FaultRow row) throws Exception {
    row.checked("no version rejected; images of each version the same bytes");
    Path repository = folder.resolve("swapped");
    models.publish(repository);
    models.publish(repository);
    int[] published = {2};
    underKills(
        row,
        repository,
        sampler -> {
          while (true) {
            long newest = models.publish(repository);
            published[0]++;
            retire(repository, newest - 3);
            sampler.program().awaitLine("serving " + SmallModels.NAME + "/" + newest + " ");
          }
        });
    row.result("%d versions", published[0]);
  }

  /** What happens beside the calls until the sampler is killed, which ends it by any exception. */
  private interface Activity {
    void run(Service sampler) throws IOException, InterruptedException;
  }

  private static void underKills(FaultRow row, Path repository, Activity activity)
      throws IOException, InterruptedException {
    Random random = FaultSettings.random(repository.getFileName().toString());
    Killer killer = new Killer(random, Duration.ofMillis(1500), repository);
    TimeBudget budget = FaultSettings.budget(0.08);
    Service sampler = start(repository);
    try (CheckedCalls calls =
        new CheckedCalls(sampler.channel(), CALLERS, DEADLINE_MILLIS, models::images)) {
      calls.awaitAnswer();
      for (; budget.isLeft(row.times()); row.count()) {
        Service killed = sampler;
        CompletableFuture<Void> beside =
            CompletableFuture.runAsync(() -> runUntilKilled(activity, killed));
        assertThat(killer.kill(killed.program())).as(killed.program().output()).isTrue();
        beside.join();
        assertThat(killed.program().output()).doesNotContain("ERROR", "damaged", "rejected");

        assertThat(Repositories.requireWhole(repository, SmallModels.NAME)).isNotEmpty();
        assertThatCode(() -> new ModelRepository(repository).pinned(SmallModels.NAME))
            .doesNotThrowAnyException();
        sampler = start(repository);
        calls.call(sampler.channel());
        calls.awaitAnswer();
        killed.close(); // Callers no longer use its channel.
      }
      calls.end();
      assertThat(calls.wrong()).isEmpty();
      assertThat(calls.codes()).containsOnlyKeys(Status.Code.OK, Status.Code.UNAVAILABLE);
      row.result("calls %s", calls.codes());
    } finally {
      sampler.close();
    }
  }

  private static Service start(Path repository) throws IOException, InterruptedException {
    return Service.sampler(
        folder, "--repository=" + repository, "--allow-pin", "--keep-versions=2");
  }

  private static void runUntilKilled(Activity activity, Service sampler) {
    try {
      activity.run(sampler);
    } catch (StatusRuntimeException | AssertionError e) {
      // The sampler was killed.
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Deletes a version as an operator does: first out of the way, then its files. */
  private static void retire(Path repository, long version) throws IOException {
    if (version < 1) {
      return;
    }
    Path model = repository.resolve(SmallModels.NAME);
    Path hidden = model.resolve(".retired-" + version);
    Files.move(model.resolve(Long.toString(version)), hidden);
    try (Stream<Path> files = Files.list(hidden)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(hidden);
  }
}
