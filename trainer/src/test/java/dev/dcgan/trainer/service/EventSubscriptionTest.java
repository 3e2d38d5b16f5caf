package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A watch whose executor runs when the test says so. */
class EventSubscriptionTest {

  @TempDir private Path folder;

  private final Queue<Runnable> tasks = new ArrayDeque<>();
  private final Watcher watcher = new Watcher();
  private RunRecord record;

  @BeforeEach
  void open() throws IOException {
    record =
        RunRecord.open(
            new RunStore(folder, TestRunManager.CLOCK)
                .create(Run.newBuilder().setConfig(TestRunManager.config(1)).build()),
            TestRunManager.CLOCK);
  }

  @AfterEach
  void close() throws IOException {
    record.close();
  }

  @Test
  void watch_replaysFromTheIndex_thenFollows_thenCompletes() throws IOException {
    happen(200);
    watch(3);
    runAll();
    assertThat(watcher.indices()).hasSize(197).first().isEqualTo(3L);

    happen(1);
    assertThat(watcher.events).hasSize(197); // The thread that trains only took note.
    runAll();
    assertThat(watcher.events).hasSize(198);
    record.state(RunState.RUN_STATE_SUCCEEDED, "");
    runAll();

    assertThat(watcher.indices()).doesNotHaveDuplicates().isSorted().last().isEqualTo(201L);
    assertThat(watcher.heard).containsExactly("ended", "complete");
  }

  @Test
  void watch_ofARunThatHasEnded_sendsWhatCameAfterItsEndToo() throws IOException {
    record.state(RunState.RUN_STATE_STOPPED, "");
    happen(1);

    watch(0);
    runAll();

    assertThat(watcher.events).hasSize(2);
    assertThat(watcher.heard).containsExactly("ended", "complete");
  }

  @Test
  void watch_fromBeyondTheEnd_completes() throws IOException {
    record.state(RunState.RUN_STATE_STOPPED, "");

    watch(1000);
    runAll();

    assertThat(watcher.events).isEmpty();
    assertThat(watcher.heard).containsExactly("ended", "complete");
  }

  @Test
  void watcherThatIsNotReady_getsNothing_andOneTaskAtMostWaits() throws IOException {
    watcher.ready = false;
    EventSubscription watch = watch(0);
    happen(1000);
    assertThat(tasks).hasSize(1);
    runAll();
    assertThat(watcher.events).isEmpty();

    watcher.ready = true;
    watch.wake();
    tasks.remove().run();
    assertThat(watcher.events).as("sent in one task").hasSize(64);
    runAll();
    assertThat(watcher.events).hasSize(1000);
  }

  @Test
  void cancel_letsGo_andNothingMoreIsSent() throws IOException {
    EventSubscription watch = watch(0);
    happen(1);
    runAll();

    watch.cancel();
    runAll();
    happen(5);

    assertThat(tasks).as("the record no longer knows it").isEmpty();
    assertThat(watcher.events).hasSize(1);
    assertThat(watcher.heard).containsExactly("ended");
    watch.cancel();
    runAll();
    assertThat(watcher.heard).containsExactly("ended");
  }

  @Test
  void close_sendsWhatIsThere_thenFails() throws IOException {
    EventSubscription watch = watch(0);
    happen(100);

    watch.close();
    runAll();

    assertThat(watcher.events).hasSize(100);
    assertThat(watcher.heard)
        .containsExactly("ended", "the service is shutting down; try again later");
  }

  @Test
  void close_doesNotWaitForAWatcherThatIsNotReady() throws IOException {
    watcher.ready = false;
    EventSubscription watch = watch(0);
    happen(100);

    watch.close();
    runAll();

    // It may be unready for a moment only: what is sent at once it gets, more would pile up.
    assertThat(watcher.events).hasSize(64);
    assertThat(watcher.heard)
        .containsExactly("ended", "the service is shutting down; try again later");
  }

  private EventSubscription watch(long from) {
    EventSubscription watch = new EventSubscription(record, from, tasks::add, watcher);
    watch.start();
    return watch;
  }

  private void happen(int times) throws IOException {
    for (int i = 0; i < times; i++) {
      record.event(
          RunEvent.newBuilder().setWarning(RunEvent.Warning.newBuilder().setMessage("hot")));
    }
  }

  private void runAll() {
    for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
      task.run();
    }
  }

  private static final class Watcher implements EventSubscription.Sink {

    final List<RunEvent> events = new ArrayList<>();
    final List<String> heard = new ArrayList<>();
    boolean ready = true;

    List<Long> indices() {
      return events.stream().map(RunEvent::getIndex).toList();
    }

    @Override
    public boolean isReady() {
      return ready;
    }

    @Override
    public void deliver(RunEvent event) {
      events.add(event);
    }

    @Override
    public void complete() {
      heard.add("complete");
    }

    @Override
    public void fail(Exception cause) {
      heard.add(String.valueOf(cause.getMessage()));
    }

    @Override
    public void ended() {
      heard.add("ended");
    }
  }
}
