package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.dcgan.faults.FaultSettings.TimeBudget;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Steps the wall clock of both programs an hour back and forth while they work, as a corrected
 * clock does. Debian's libfaketime stands between the programs and the system's clock.
 */
@ExtendWith(FaultTable.class)
class ClockFaults {

  private static final Path LIBRARY =
      Path.of("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1");
  private static final int CALLERS = 4;
  private static final int DEADLINE_MILLIS = 20_000;
  private static final List<String> OFFSETS = List.of("+0", "-3600", "+3600");
  private static final Pattern HOUR = Pattern.compile("(?m)^[-0-9]+T([0-9]{2}):");

  @TempDir private static Path folder;

  @Test
  @DisplayName("clock steps of an hour and two: both under load")
  void step(FaultRow row) throws Exception {
    row.checked(
        "every call answered; versions served; runs distinct, complete and the same bytes; quota as before");
    assumeTrue(Files.exists(LIBRARY), "faketime is absent");
    SmallModels models = SmallModels.train(folder);
    Programs.run(
        folder, Programs.smallTraining("--runs=undisturbed-runs", "--repository=undisturbed"));
    byte[] trained = Repositories.model(folder.resolve("undisturbed"), "mnist28", 1);
    Path repository = folder.resolve("served");
    models.publish(repository);
    step("+0");

    int runs;
    try (Service sampler =
            Service.start(
                folder,
                faked(Programs.sampler("serve", "--repository=" + repository, "--poll=200ms")));
        Service trainer = trainer()) {
      sampler.program().awaitLine("serving " + SmallModels.NAME + "/1 ");
      try (CheckedCalls calls =
          new CheckedCalls(sampler.channel(), CALLERS, DEADLINE_MILLIS, models::images)) {
        runs =
            whileTheyWork(
                row,
                () -> {
                  calls.awaitAnswer();
                  long version = models.publish(repository);
                  sampler.program().awaitLine("serving " + SmallModels.NAME + "/" + version + " ");
                },
                trainer,
                trained);
        calls.end();
        assertThat(calls.wrong()).isEmpty();
        assertThat(calls.codes()).containsOnlyKeys(Status.Code.OK);
        row.result("%d calls, %d runs", calls.answered(), runs);
      }
      assertThat(hours(sampler)).hasSizeGreaterThan(1);
      assertThat(hours(trainer)).hasSizeGreaterThan(1);
    }
    requireQuota(runs);
  }

  /** What must work after each step. */
  private interface Work {
    void run() throws IOException, InterruptedException;
  }

  /** Steps the clock before each run and in the middle of it; returns how many runs there were. */
  private static int whileTheyWork(FaultRow row, Work serving, Service trainer, byte[] trained)
      throws IOException, InterruptedException {
    Random random = FaultSettings.random("clock");
    Set<String> runs = new HashSet<>();
    String now = "+0";
    for (TimeBudget budget = FaultSettings.budget(0.08);
        budget.isLeft() || runs.size() < OFFSETS.size(); ) {
      now = stepElsewhere(now, random);
      row.count();
      serving.run();
      String run = TrainerRuns.start(trainer.channel(), "run-" + runs.size()).getId();
      assertThat(runs.add(run)).as("a run with another id than " + run).isTrue();
      now = stepElsewhere(now, random);
      row.count();
      TrainerRuns.awaitSuccess(trainer.channel(), run);
      TrainerRuns.requireComplete(trainer.channel(), folder.resolve("trained"), run, trained);
    }
    assertThat(trainer.metric("trainer_runs")).isEqualTo(runs.size());
    return runs.size();
  }

  /** A caller cannot start more runs a day because of a step. */
  private static void requireQuota(int runs) throws IOException, InterruptedException {
    try (Service trainer = trainer("--max-runs-per-day=" + runs)) {
      for (String offset : OFFSETS) {
        step(offset);
        assertThatThrownBy(() -> TrainerRuns.start(trainer.channel(), "one-more"))
            .hasMessageContaining("RESOURCE_EXHAUSTED");
      }
    }
  }

  private static Service trainer(String... options) throws IOException, InterruptedException {
    List<String> command = Programs.trainer("serve", "--repository=trained");
    command.addAll(Arrays.asList(options));
    return Service.start(folder, faked(command));
  }

  /** The hours in the times of the log, which show that the program saw the steps. */
  private static Set<String> hours(Service service) {
    return HOUR.matcher(service.program().output())
        .results()
        .map(time -> time.group(1))
        .collect(Collectors.toSet());
  }

  private static String stepElsewhere(String now, Random random) throws IOException {
    List<String> others = new ArrayList<>(OFFSETS);
    others.remove(now);
    String next = others.get(random.nextInt(others.size()));
    step(next);
    return next;
  }

  private static List<String> faked(List<String> command) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "env",
                "LD_PRELOAD=" + LIBRARY,
                "FAKETIME_TIMESTAMP_FILE=" + folder.resolve("offset"),
                "FAKETIME_NO_CACHE=1",
                // A step of the wall clock leaves the monotonic clock alone.
                "FAKETIME_DONT_FAKE_MONOTONIC=1",
                // A workaround for old C libraries, which makes a JVM five times as slow.
                "FAKETIME_FORCE_MONOTONIC_FIX=0"));
    all.addAll(command);
    return all;
  }

  /** Sets the clock of both programs to so many seconds after the system's. */
  private static void step(String seconds) throws IOException {
    Path fresh = Files.writeString(folder.resolve("offset.new"), seconds + "\n");
    Files.move(
        fresh,
        folder.resolve("offset"),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }
}
