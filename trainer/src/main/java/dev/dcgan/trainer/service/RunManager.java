package dev.dcgan.trainer.service;

import dev.dcgan.trainer.config.InvalidConfigException;

import dev.dcgan.trainer.config.ConfigViolation;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.UnknownFieldSet;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.session.StopSignal;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The service's runs: those that wait, the one under way, and those that have ended.
 *
 * <p>Thread-safe. Three kinds of thread: runs are trained on the {@link RunScheduler}'s; checkpoints
 * are read and published on that of the {@link BackgroundTasks}, beside the training; all else is done on
 * the caller's, and takes no longer than to read or write small files. Runs that wait or are under
 * way are locked, so that no other process takes them up.
 */
final class RunManager {

  /** Does the training. */
  public interface Trainer {

    /**
     * Carries a run to its end on the calling thread, from the newest whole checkpoint in its
     * folder where there is one.
     *
     * <p>What goes wrong is the run's end, FAILED and why. Only after {@link StopSignal#interrupt}
     * may the run be left RUNNING. The caller holds the run's lock.
     *
     * @throws NativeFailureException the device or its memory failed: the run is left to be
     *     continued by another process, and no other run may be trained in this one
     */
    void train(RunRecord record, TrainingConfig plan, StopSignal control) throws NativeFailureException;
  }

  /**
   * Some runs, newest first.
   *
   * @param next what asks for those after them; empty: there are none
   */
  record Page(List<Run> runs, String next) {}

  private static final Logger log = LoggerFactory.getLogger("runs");
  private static final int LONGEST_REQUEST_ID = 128;

  private final RunStore store;
  private final RunRecords records;
  private final DataRoot dataRoot;
  private final String device; // Of runs that are asked for without one.
  private final RunScheduler queue;
  private final BackgroundTasks errands = new BackgroundTasks();
  private final CheckpointPublisher publications;
  private final RunStateMetrics metrics;
  // Runs whose run.json could not be read, and was named in the log.
  private final Set<String> damaged = ConcurrentHashMap.newKeySet();

  // Mutable state
  @GuardedBy("this") private final Map<String, String> requests = new HashMap<>(); // Request id to run id.

  RunManager(
      RunStore store,
      InstantSource clock,
      DataRoot dataRoot,
      String device,
      RunScheduler queue,
      CheckpointPublisher publications) {
    this.store = store;
    this.records = new RunRecords(clock);
    this.dataRoot = dataRoot;
    this.device = device;
    this.queue = queue;
    this.publications = publications;
    this.metrics = queue.metrics();
  }

  /**
   * Finds the runs there are, and queues those that a former process of the service left
   * unfinished, however many: first what was under way, then by age. To be called before anything
   * else.
   *
   * @throws IOException the folder of runs cannot be read
   */
  synchronized void recover() throws IOException {
    List<RunDirectory> begun = new ArrayList<>();
    List<RunDirectory> queued = new ArrayList<>();
    List<RunDirectory> oldestFirst = new ArrayList<>(store.list());
    Collections.reverse(oldestFirst);
    for (RunDirectory folder : oldestFirst) {
      Optional<Run> found = read(folder);
      if (found.isPresent()) {
        Run run = found.get();
        metrics.found(run.getState());
        remember(run);
        if (run.getByService() && !RunRecord.isEnd(run.getState())) {
          (run.getState() == RunState.RUN_STATE_RUNNING ? begun : queued).add(folder);
        }
      }
    }
    begun.addAll(queued);
    for (RunDirectory folder : begun) {
      try {
        takeUp(folder);
      } catch (IOException e) {
        log.warn("run {} cannot be taken up: {}", folder.id(), ErrorMessages.oneLine(e));
      }
    }
  }

  /** Begins to train. */
  void begin() {
    queue.start();
  }

  /** Queues a run; the same request id again answers with the run that it started. */
  synchronized Run start(String requestId, RunConfig config)
      throws RequestException, InvalidConfigException, IOException {
    // What this program does not know does not survive on the disk, where it is compared with.
    RunConfig asked =
        config.toBuilder().setUnknownFields(UnknownFieldSet.getDefaultInstance()).build();
    Optional<Run> earlier = earlier(requestId, "", asked);
    if (earlier.isPresent()) {
      return earlier.get();
    }
    List<ConfigViolation> wrong = new ArrayList<>();
    checkRequestId(requestId, wrong);
    List<ConfigViolation> ofConfig = new ArrayList<>();
    RunConfig.Builder here = RunConfig.newBuilder().setDevice(device);
    TrainingConfig plan = plan(here.mergeFrom(dataRoot.resolve(asked, ofConfig)).build(), ofConfig);
    for (ConfigViolation violation : ofConfig) {
      wrong.add(new ConfigViolation("config." + violation.field(), violation.description()));
    }
    if (plan == null || !wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    queue.requireRoom();
    return enqueue(Run.newBuilder().setRequestId(requestId).setRequestedConfig(asked), plan, null);
  }

  /** The run of that id, as it is now. */
  Run get(String id) throws RequestException, IOException {
    Optional<RunScheduler.Job> job = queue.find(id);
    return job.isPresent() ? job.get().record().run() : find(id).read();
  }

  /**
   * At most {@code size} runs, newest first.
   *
   * @param after a former page's {@code next}; empty: from the newest on
   */
  Page list(int size, String after) throws IOException {
    List<Run> runs = new ArrayList<>();
    String last = "";
    for (RunDirectory folder : store.list()) {
      if (!after.isEmpty() && folder.id().compareTo(after) >= 0) {
        continue;
      }
      if (runs.size() == size) {
        return new Page(runs, last);
      }
      Optional<Run> run = read(folder);
      if (run.isPresent()) {
        runs.add(run.get());
        last = folder.id();
      }
    }
    return new Page(runs, "");
  }

  /** Opens a run to read its events; the caller closes the hold. */
  RunRecords.Hold watch(String id) throws RequestException, IOException {
    RunDirectory folder = find(id);
    // Not opened then: the file of events is one process's at a time.
    if (queue.find(id).isEmpty() && !RunRecord.isEnd(folder.read().getState())) {
      throw elsewhere(id, "watch");
    }
    return records.share(folder);
  }

  /** Ends a run that waits; asks one under way to end; answers with one that has ended as it is. */
  Run stop(String id) throws RequestException, IOException {
    RunDirectory folder = find(id);
    Optional<Run> stopped = queue.stop(id);
    if (stopped.isPresent()) {
      return stopped.get();
    }
    Run run = folder.read();
    if (RunRecord.isEnd(run.getState())) {
      return run;
    }
    // `trainer train` began it, and has left it or is still at it.
    try (RunRecords.Hold hold = lock(folder, "stop")) {
      if (!hold.record().hasEnded()) {
        metrics.follow(hold.record());
        hold.record().state(RunState.RUN_STATE_STOPPED, "stopped as asked; nobody was at it");
      }
      return hold.record().run();
    }
  }

  /**
   * Queues a new run that carries on from the newest whole checkpoint of one that STOPPED or
   * FAILED.
   *
   * @param epochs in place of the run's own
   * @return fails with {@link RequestException}, {@link InvalidConfigException} or {@link
   *     IOException}
   */
  CompletableFuture<Run> resume(String requestId, String id, OptionalInt epochs)
      throws RequestException {
    return errands.submit(() -> resumeNow(requestId, id, epochs));
  }

  /**
   * Publishes a kept checkpoint's generator.
   *
   * @param checkpoint the file's name; empty: the newest
   * @param model the name to publish under; empty: the run's own
   * @return fails with {@link RequestException}, {@link InvalidConfigException} or {@link
   *     IOException}
   */
  CompletableFuture<ModelVersion> publish(String id, String checkpoint, String model)
      throws RequestException {
    return errands.submit(() -> publishNow(id, checkpoint, model));
  }

  /**
   * Interrupts the run under way, which keeps a checkpoint and goes on when the service starts
   * again, and finishes the publication under way.
   *
   * @return whether that took no longer than {@code grace}
   */
  boolean close(Duration grace) throws InterruptedException {
    long start = System.nanoTime();
    boolean trained = queue.close(grace);
    Duration left = grace.minusNanos(System.nanoTime() - start);
    return errands.close(left.isNegative() ? Duration.ZERO : left) && trained;
  }

  private void takeUp(RunDirectory folder) throws IOException {
    Optional<RunRecords.Hold> hold = records.lock(folder);
    if (hold.isEmpty()) {
      log.info("run {} is in another process's hands", folder.id());
      return;
    }
    RunRecord record = hold.get().record();
    metrics.follow(record);
    move(record);
    List<ConfigViolation> wrong = new ArrayList<>();
    TrainingConfig plan = plan(record.run().getConfig(), wrong);
    if (plan != null && !record.hasEnded()) {
      log.info("run {} goes on", folder.id());
      queue.add(new RunScheduler.Job(hold.get(), plan, new StopSignal()));
      return;
    }
    try (RunRecords.Hold done = hold.get()) {
      if (!done.record().hasEnded()) {
        done.record().state(RunState.RUN_STATE_FAILED, "its config is not valid: " + wrong);
      }
    }
  }

  /**
   * Moves a run whose caller named no device to the service's, if the service was given one: for
   * {@code --device cpu}, where the GPU that a run was trained on will not come back.
   */
  private void move(RunRecord record) throws IOException {
    Run run = record.run();
    String was = run.getConfig().getDevice();
    // Of a resumed run only the device is known, not who named it.
    boolean named =
        run.getResumedFrom().isEmpty()
            ? !run.getRequestedConfig().getDevice().isEmpty()
            : !TrainingDevice.isAuto(was);
    if (!named && !TrainingDevice.isAuto(device) && !was.isEmpty() && !was.equals(device)) {
      log.warn("run {} moves from --device {} to {}", record.folder().id(), was, device);
      record.update(changed -> changed.getConfigBuilder().setDevice(device));
    }
  }

  private Run resumeNow(String requestId, String id, OptionalInt epochs)
      throws RequestException, InvalidConfigException, IOException {
    RunConfig.Builder asked = RunConfig.newBuilder();
    epochs.ifPresent(asked::setEpochs);
    synchronized (this) {
      Optional<Run> earlier = earlier(requestId, id, asked.build());
      if (earlier.isPresent()) {
        return earlier.get();
      }
    }
    Run old = get(id);
    if (old.getState() != RunState.RUN_STATE_STOPPED
        && old.getState() != RunState.RUN_STATE_FAILED) {
      throw new RequestException(
          Why.WRONG_STATE,
          "run %s is %s; only one that STOPPED or FAILED can be resumed"
              .formatted(id, RunRecord.name(old.getState())));
    }
    List<ConfigViolation> wrong = new ArrayList<>();
    checkRequestId(requestId, wrong);
    TrainingConfig plan = plan(old.getConfig().toBuilder().mergeFrom(asked.build()).build(), wrong);
    CheckpointStore.Kept from = newestWhole(find(id), old);
    if (plan != null && plan.hyperparameters().epochs() < from.checkpoint().epoch()) {
      wrong.add(
          new ConfigViolation(
              "epochs",
              "%d: expected %d, which the run has done, or more"
                  .formatted(plan.hyperparameters().epochs(), from.checkpoint().epoch())));
    }
    if (plan == null || !wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    synchronized (this) {
      // Another call with this id may have come through meanwhile.
      Optional<Run> earlier = earlier(requestId, id, asked.build());
      if (earlier.isPresent()) {
        return earlier.get();
      }
      queue.requireRoom();
      return enqueue(
          Run.newBuilder()
              .setRequestId(requestId)
              .setRequestedConfig(asked)
              .setResumedFrom(id)
              .addCheckpoints(from.file().getFileName().toString()),
          plan,
          from.file());
    }
  }

  private static CheckpointStore.Kept newestWhole(RunDirectory folder, Run run)
      throws RequestException, IOException {
    Optional<CheckpointStore.Kept> newest =
        Files.isDirectory(folder.checkpoints())
            ? folder.keptCheckpoints(run).newest()
            : Optional.empty();
    return newest.orElseThrow(
        () ->
            new RequestException(
                Why.WRONG_STATE,
                "run %s has no whole checkpoint to carry on from; start a new one"
                    .formatted(folder.id())));
  }

  private ModelVersion publishNow(String id, String checkpoint, String model)
      throws RequestException, InvalidConfigException, IOException {
    RunDirectory folder = find(id);
    try (RunRecords.Hold hold =
        queue.find(id).isPresent() ? records.share(folder) : lock(folder, "publish")) {
      return publications.publish(hold.record(), checkpoint, model);
    }
  }

  /**
   * The run that the request id started before, if it did.
   *
   * @throws RequestException that one was another
   */
  @GuardedBy("this") private Optional<Run> earlier(String requestId, String resumedFrom, RunConfig asked)
      throws RequestException, IOException {
    String id = requests.get(requestId);
    if (id == null || store.find(id).isEmpty()) {
      return Optional.empty();
    }
    Run run = get(id);
    if (!run.getRequestedConfig().equals(asked) || !run.getResumedFrom().equals(resumedFrom)) {
      throw new RequestException(
          Why.ALREADY_EXISTS,
          "request id '%s' started run %s, which was asked for differently; choose another id"
              .formatted(requestId, id));
    }
    return Optional.of(run);
  }

  @GuardedBy("this") private Run enqueue(Run.Builder draft, TrainingConfig plan, @Nullable Path begin) throws IOException {
    RunDirectory folder =
        store.create(draft.setConfig(plan.config()).setByService(true).build(), begin);
    Optional<RunRecords.Hold> hold;
    try {
      hold = records.lock(folder);
    } catch (IOException e) {
      abandon(folder, e);
      throw e;
    }
    Run run = folder.read();
    remember(run);
    // Empty: another service, which has just been started, found the run and has taken it.
    if (hold.isPresent()) {
      metrics.found(run.getState());
      metrics.follow(hold.get().record());
      queue.add(new RunScheduler.Job(hold.get(), plan, new StopSignal()));
    }
    return run;
  }

  /** Nobody was told of the run: it must not come to life when the service starts again. */
  private static void abandon(RunDirectory folder, IOException failure) {
    try {
      folder.write(
          folder.read().toBuilder()
              .setState(RunState.RUN_STATE_FAILED)
              .setReason("it could not be queued: " + ErrorMessages.oneLine(failure))
              .build());
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  @GuardedBy("this") private void remember(Run run) {
    if (!run.getRequestId().isEmpty()) {
      requests.put(run.getRequestId(), run.getId());
    }
  }

  private Optional<Run> read(RunDirectory folder) {
    try {
      Optional<RunScheduler.Job> job = queue.find(folder.id());
      return Optional.of(job.isPresent() ? job.get().record().run() : folder.read());
    } catch (IOException e) {
      if (damaged.add(folder.id())) {
        log.warn("skipping run {}: {}", folder.id(), ErrorMessages.oneLine(e));
      }
      return Optional.empty();
    }
  }

  private RunDirectory find(String id) throws RequestException {
    return store
        .find(id)
        .orElseThrow(() -> new RequestException(Why.NOT_FOUND, "there is no run '" + id + "'"));
  }

  private RunRecords.Hold lock(RunDirectory folder, String purpose)
      throws RequestException, IOException {
    Optional<RunRecords.Hold> hold = records.lock(folder);
    if (hold.isEmpty()) {
      throw elsewhere(folder.id(), purpose);
    }
    return hold.get();
  }

  private static RequestException elsewhere(String id, String purpose) {
    return new RequestException(
        Why.WRONG_STATE,
        "run %s is not this service's to %s: another process began it, and it has not ended"
            .formatted(id, purpose));
  }

  private static void checkRequestId(String requestId, List<ConfigViolation> wrong) {
    if (requestId.length() > LONGEST_REQUEST_ID) {
      wrong.add(
          new ConfigViolation(
              "request_id",
              "%d characters: expected at most %d"
                  .formatted(requestId.length(), LONGEST_REQUEST_ID)));
    }
  }

  /** The plan; null where the config is wrong, as has been added then. */
  private static @Nullable TrainingConfig plan(RunConfig config, List<ConfigViolation> wrong) {
    try {
      return TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      wrong.addAll(e.violations());
      return null;
    }
  }
}
