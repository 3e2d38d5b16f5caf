package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.UnknownFieldSet;
import com.google.protobuf.util.Timestamps;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Threads;
import dev.dcgan.server.access.Caller;
import dev.dcgan.server.access.Role;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.config.PublishPolicy;
import dev.dcgan.trainer.config.ResourceEstimate;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.session.InitialWeights;
import dev.dcgan.trainer.session.Outcome;
import dev.dcgan.trainer.session.TrainingInputs;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.DeviceFailure;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The service's runs: queued, active and ended.
 *
 * <p>Thread-safe. Runs are trained on the thread of the {@link RunScheduler}; checkpoints are read
 * and published on that of the {@link BackgroundTasks}; everything else happens on the caller's
 * thread and only reads or writes small files. Queued and active runs are locked, so that no other
 * process continues them.
 */
final class RunManager implements RunSource {

  /** Trains runs. */
  @FunctionalInterface
  public interface Trainer {

    /**
     * Trains a run that is locked by the caller, from its newest undamaged checkpoint if it has
     * one, and writes the outcome into its record.
     */
    Outcome train(RunRecord record, TrainingConfig config, StopSignal stop);
  }

  private static final Logger log = LoggerFactory.getLogger(RunManager.class);
  private static final int MAX_REQUEST_ID_LENGTH = 128;
  // Of one page; as JSON it is three to four times as long.
  private static final int MAX_PAGE_BYTES = 256 << 10;

  private final RunStore store;
  private final RunRecords records;
  private final DataRoot dataRoot;
  private final String device; // Of runs that name none.
  private final RunLimits limits;
  private final RunScheduler scheduler;
  private final BackgroundTasks tasks = new BackgroundTasks("background", 1, 16);
  private final CheckpointPublisher publisher;
  private final RunStateMetrics metrics;
  private final InstantSource clock;
  private final RunRetention retention;
  private final ScheduledExecutorService retentionThread =
      Executors.newSingleThreadScheduledExecutor(Threads.named("retention"));
  // Runs whose run.json cannot be read, which was logged.
  private final Set<String> damaged = ConcurrentHashMap.newKeySet();

  // Mutable state
  /** Request id to run id, of runs of earlier versions of this program, which have no claim. */
  @GuardedBy("this") private final Map<String, String> requests = new HashMap<>();

  /** When callers have started runs, oldest first; of the last 24 hours, if that is limited. */
  @GuardedBy("this") private final Map<String, Deque<Instant>> starts = new HashMap<>();

  RunManager(
      RunStore store,
      InstantSource clock,
      DataRoot dataRoot,
      String device,
      RunLimits limits,
      RunScheduler scheduler,
      CheckpointPublisher publisher) {
    this.store = store;
    this.records = new RunRecords(clock);
    this.dataRoot = dataRoot;
    this.device = device;
    this.limits = limits;
    this.scheduler = scheduler;
    this.publisher = publisher;
    this.metrics = scheduler.metrics();
    this.clock = clock;
    retention =
        new RunRetention(store, records, clock, limits.keepRuns(), limits.keepDays(), metrics);
  }

  /**
   * Finds the existing runs, and queues those that an earlier process of the service has not ended,
   * however many: first those that were active, then by age. To be called first.
   *
   * @throws IOException the folder of runs cannot be read
   */
  synchronized void recover() throws IOException {
    sweep();
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
        if (!run.getRequestId().isEmpty() && store.ofRequest(run.getRequestId()).isEmpty()) {
          requests.put(run.getRequestId(), run.getId());
        }
        if (run.getByService() && !RunRecord.isEnd(run.getState())) {
          (run.getState() == RunState.RUN_STATE_RUNNING ? begun : queued).add(folder);
        }
      }
    }
    begun.addAll(queued);
    for (RunDirectory folder : begun) {
      try {
        resume(folder);
      } catch (IOException e) {
        log.warn("cannot continue run {}: {}", folder.id(), ErrorMessages.oneLine(e));
      }
    }
  }

  private void sweep() {
    try {
      int swept = store.sweep();
      if (swept > 0) {
        log.info("removed {} temporary files that killed processes have left", swept);
      }
    } catch (IOException e) {
      log.warn("cannot remove temporary files: {}", ErrorMessages.oneLine(e));
    }
  }

  /** Starts to train, and to remove old runs. */
  void begin() {
    scheduler.start();
    if (retention.isOn()) {
      var unused =
          retentionThread.scheduleWithFixedDelay(retention::apply, 0, 10, TimeUnit.MINUTES);
    }
  }

  RunRetention retention() {
    return retention;
  }

  /** Queues a run; a repeated request id returns the run that it started. */
  Run start(String requestId, RunConfig config)
      throws RequestException, InvalidConfigException, IOException {
    // Unknown fields are not stored, and a repeated request is compared with what is stored.
    RunConfig requested =
        config.toBuilder().setUnknownFields(UnknownFieldSet.getDefaultInstance()).build();
    List<ConfigViolation> ofConfig = new ArrayList<>();
    RunConfig here = dataRoot.resolve(requested, ofConfig);
    long disk = diskOfCaller();
    if (ofConfig.isEmpty() && requestId.length() <= MAX_REQUEST_ID_LENGTH) {
      synchronized (this) {
        Optional<Run> earlier = earlier(requestId, "", requested);
        if (earlier.isPresent()) {
          return earlier.get();
        }
        if (TrainingConfig.choosesPreset(here) && !here.getData().isEmpty()) {
          requireRoom(disk); // Before the images are looked at.
        }
      }
      // Not under the lock, because listing a large folder takes long.
      here = TrainingInputs.withPreset(here, Path.of(""), store.cache());
    }
    return start(requestId, requested, here, ofConfig, disk);
  }

  private synchronized Run start(
      String requestId,
      RunConfig requested,
      RunConfig here,
      List<ConfigViolation> ofConfig,
      long disk)
      throws RequestException, InvalidConfigException, IOException {
    Optional<Run> earlier = earlier(requestId, "", requested);
    if (earlier.isPresent()) {
      return earlier.get();
    }
    List<ConfigViolation> wrong = new ArrayList<>();
    checkRequestId(requestId, wrong);
    TrainingConfig complete =
        complete(RunConfig.newBuilder().setDevice(device).mergeFrom(here).build(), ofConfig);
    if (complete != null) {
      ofConfig.addAll(limits.violations(complete));
    }
    for (ConfigViolation violation : ofConfig) {
      wrong.add(new ConfigViolation("config." + violation.field(), violation.description()));
    }
    Path initial = complete == null ? null : initialWeights(complete, wrong);
    if (complete == null || !wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    requireMayPublish(complete);
    requireRoom(disk);
    return enqueue(
        Run.newBuilder()
            .setRequestId(requestId)
            .setRequestedConfig(requested)
            .setInitializedFrom(initial == null ? "" : InitialWeights.name(initial)),
        complete,
        initial);
  }

  /** A run publishes by itself: who starts it needs the role for that, as for PublishModel. */
  private static void requireMayPublish(TrainingConfig config) throws RequestException {
    Caller caller = AccessControl.caller();
    if (config.publish().kind() != PublishPolicy.Kind.NEVER
        && !caller.hasAny(Set.of(Role.PUBLISH))) {
      throw new RequestException(
          Why.DENIED,
          "the run would publish a model (publish is '%s'), and %s has no role publish; start one with publish set to never"
              .formatted(config.config().getPublish(), caller.name()));
    }
  }

  /** The bytes of the runs of the caller; not under the lock, because there may be many files. */
  private long diskOfCaller() throws IOException {
    String caller = AccessControl.callerKey();
    return limits.maxDiskPerCaller().isEmpty()
        ? 0
        : store.bytesOf(run -> run.getByService() && run.getCaller().equals(caller));
  }

  /**
   * Requires that the queue has room, and that the caller's quotas are not used up.
   *
   * @param disk that the runs of the caller use, bytes
   */
  @GuardedBy("this") private void requireRoom(long disk) throws RequestException {
    scheduler.requireRoom();
    String caller = AccessControl.callerKey();
    OptionalInt maxQueued = limits.maxQueuedPerCaller();
    long queued = scheduler.queuedOf(caller);
    if (maxQueued.isPresent() && queued >= maxQueued.getAsInt()) {
      throw new RequestException(
          Why.FULL,
          "%d runs of this caller (%s) are queued of at most %d; try again when one has ended"
              .formatted(queued, caller, maxQueued.getAsInt()));
    }
    int today = startsToday(caller);
    if (limits.maxRunsPerDay().isPresent() && today >= limits.maxRunsPerDay().getAsInt()) {
      throw new RequestException(
          Why.FULL,
          "this caller (%s) has started %d runs within 24 hours of at most %d; try again later"
              .formatted(caller, today, limits.maxRunsPerDay().getAsInt()));
    }
    OptionalLong maxDisk = limits.maxDiskPerCaller();
    if (maxDisk.isPresent() && disk >= maxDisk.getAsLong()) {
      throw new RequestException(
          Why.FULL,
          "the runs of this caller (%s) use %s of disk of at most %s; have ended runs removed, as --keep-runs and --keep-days do"
              .formatted(
                  caller, ResourceEstimate.size(disk), ResourceEstimate.size(maxDisk.getAsLong())));
    }
  }

  @GuardedBy("this") private int startsToday(String caller) {
    Instant dayAgo = clock.instant().minus(Duration.ofDays(1));
    // Of all callers: many never come back.
    starts
        .values()
        .removeIf(
            times -> {
              times.removeIf(time -> time.isBefore(dayAgo));
              return times.isEmpty();
            });
    Deque<Instant> times = starts.get(caller);
    return times == null ? 0 : times.size();
  }

  /** The request ids and callers that this keeps in memory. */
  synchronized int remembered() {
    return requests.size() + starts.size();
  }

  /** The checkpoint of the run that a config starts from; null if it names none. */
  private @Nullable Path initialWeights(TrainingConfig config, List<ConfigViolation> wrong) {
    String id = config.config().getInitFrom();
    if (id.isEmpty()) {
      return null;
    }
    try {
      RunDirectory run = find(id);
      Path newest = InitialWeights.newest(run);
      InitialWeights.require(id, config, TrainingConfig.of(run.read().getConfig()));
      return newest;
    } catch (RequestException | InvalidConfigException | IOException e) {
      String message =
          e instanceof IOException failed ? ErrorMessages.oneLine(failed) : e.getMessage();
      wrong.add(
          new ConfigViolation(
              "config.init_from",
              "'%s': %s; expected a run of this service".formatted(id, message)));
      return null;
    }
  }

  @Override
  public Run get(String id) throws RequestException, IOException {
    Optional<RunScheduler.Job> job = scheduler.find(id);
    return job.isPresent() ? job.get().record().run() : find(id).readNow();
  }

  @Override
  public Page list(int size, String after) throws IOException {
    List<Run> runs = new ArrayList<>();
    String last = "";
    int bytes = 0;
    for (RunDirectory folder : store.list()) {
      if (!after.isEmpty() && folder.id().compareTo(after) >= 0) {
        continue;
      }
      if (runs.size() == size) {
        return new Page(runs, last);
      }
      Optional<Run> run = read(folder);
      if (run.isPresent()) {
        bytes += run.get().getSerializedSize();
        if (bytes > MAX_PAGE_BYTES && !runs.isEmpty()) {
          return new Page(runs, last);
        }
        runs.add(run.get());
        last = folder.id();
      }
    }
    return new Page(runs, "");
  }

  @Override
  public RunRecords.Hold watch(String id) throws RequestException, IOException {
    RunDirectory folder = find(id);
    // Only one process at a time may open the file of events.
    if (scheduler.find(id).isEmpty() && !RunRecord.isEnd(folder.read().getState())) {
      throw ownedElsewhere(id, "watch");
    }
    return records.share(folder);
  }

  /** Ends a queued run or requests the active run's end; an ended run is returned as it is. */
  Run stop(String id) throws RequestException, IOException {
    RunDirectory folder = find(id);
    Optional<Run> stopped = scheduler.stop(id);
    if (stopped.isPresent()) {
      return stopped.get();
    }
    Run run = folder.read();
    if (RunRecord.isEnd(run.getState())) {
      return run;
    }
    // `trainer train` started it, and is still training it or was interrupted.
    try (RunRecords.Hold hold = lock(folder, "stop")) {
      if (!hold.record().hasEnded()) {
        metrics.follow(hold.record());
        hold.record().stop("stopped on request; the run was not active");
      }
      return hold.record().run();
    }
  }

  /**
   * Queues a new run that starts from the newest undamaged checkpoint of one that STOPPED or
   * FAILED, or that SUCCEEDED with fewer epochs. If one that STOPPED or FAILED has never written a
   * checkpoint, the new run starts as that did.
   *
   * @param epochs replaces the epochs of the old run's config
   * @return fails with {@link RequestException}, {@link InvalidConfigException} or {@link
   *     IOException}
   */
  CompletableFuture<Run> resume(String requestId, String id, OptionalInt epochs)
      throws RequestException {
    return tasks.submit(() -> resumeNow(requestId, id, epochs));
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
    return tasks.submit(() -> publishNow(id, checkpoint, model));
  }

  /**
   * Interrupts the active run, which writes a checkpoint and is continued when the service starts
   * again, and waits for the active publication.
   *
   * @return whether both ended within {@code grace}
   */
  boolean close(Duration grace) throws InterruptedException {
    retentionThread.shutdownNow();
    long start = System.nanoTime();
    boolean trained = scheduler.close(grace);
    Duration left = grace.minusNanos(System.nanoTime() - start);
    return tasks.close(left.isNegative() ? Duration.ZERO : left) && trained;
  }

  private void resume(RunDirectory folder) throws IOException {
    Optional<RunRecords.Hold> hold = records.lock(folder);
    if (hold.isEmpty()) {
      log.info("run {} is locked by another process", folder.id());
      return;
    }
    RunRecord record = hold.get().record();
    metrics.follow(record);
    moveToOwnDevice(record);
    List<ConfigViolation> wrong = new ArrayList<>();
    TrainingConfig complete = complete(record.run().getConfig(), wrong);
    Optional<String> hopeless = whyNotAgain(record.run());
    if (hopeless.isPresent() && !record.hasEnded()) {
      try (RunRecords.Hold done = hold.get()) {
        log.error("run {} is FAILED: {}", folder.id(), hopeless.get());
        metrics.gaveUp();
        done.record().state(RunState.RUN_STATE_FAILED, hopeless.get());
      }
      return;
    }
    if (complete != null && !record.hasEnded()) {
      log.info("run {} is queued again", folder.id());
      scheduler.add(new RunScheduler.Job(hold.get(), complete, new StopSignal()));
      return;
    }
    try (RunRecords.Hold done = hold.get()) {
      if (!done.record().hasEnded()) {
        done.record().state(RunState.RUN_STATE_FAILED, "its config is invalid: " + wrong);
      }
    }
  }

  /** Why a run is not trained again: it has killed the process, or failed its memory, too often. */
  private Optional<String> whyNotAgain(Run run) {
    DeviceFailure failure = run.getDeviceFailure();
    if (run.getAttempts() >= limits.maxAttempts()) {
      return Optional.of(
          "the process was killed %d times without a new checkpoint of this run, perhaps because it had too little memory; start it with a smaller batch_size or width"
              .formatted(run.getAttempts()));
    }
    return NativeFailureException.Kind.OUT_OF_MEMORY.label().equals(failure.getKind())
            && failure.getAttempts() >= limits.maxAttempts()
            && run.getProgress().getStep() <= failure.getStep()
        ? Optional.of(
            "out of memory %d times without progress; start it with a smaller batch_size or width"
                .formatted(failure.getAttempts()))
        : Optional.empty();
  }

  /**
   * Moves a run whose caller named no device to the service's device, if that was given. {@code
   * --device cpu} thus continues a run whose GPU is gone for good.
   */
  private void moveToOwnDevice(RunRecord record) {
    Run run = record.run();
    String was = run.getConfig().getDevice();
    // For a resumed run it is not known whether its caller named the device.
    boolean named =
        run.getResumedFrom().isEmpty()
            ? !run.getRequestedConfig().getDevice().isEmpty()
            : !TrainingDevice.isAuto(was);
    if (!named && !TrainingDevice.isAuto(device) && !was.isEmpty() && !was.equals(device)) {
      log.warn("run {} moves from --device {} to {}", record.folder().id(), was, device);
      try {
        record.update(changed -> changed.getConfigBuilder().setDevice(device));
      } catch (IOException e) {
        // It is moved in memory, which the next write of run.json has.
        log.warn(
            "cannot write the state of run {}: {}", record.folder().id(), ErrorMessages.oneLine(e));
      }
    }
  }

  private Run resumeNow(String requestId, String id, OptionalInt epochs)
      throws RequestException, InvalidConfigException, IOException {
    RunConfig.Builder requested = RunConfig.newBuilder();
    epochs.ifPresent(requested::setEpochs);
    synchronized (this) {
      Optional<Run> earlier = earlier(requestId, id, requested.build());
      if (earlier.isPresent()) {
        return earlier.get();
      }
    }
    Run old = get(id);
    boolean succeeded = old.getState() == RunState.RUN_STATE_SUCCEEDED;
    if (!RunRecord.isEnd(old.getState()) || (succeeded && epochs.isEmpty())) {
      throw new RequestException(
          Why.WRONG_STATE,
          "run %s is %s; only one that STOPPED or FAILED can be resumed, or one that SUCCEEDED to more epochs"
              .formatted(id, RunRecord.name(old.getState())));
    }
    List<ConfigViolation> wrong = new ArrayList<>();
    checkRequestId(requestId, wrong);
    TrainingConfig complete =
        complete(old.getConfig().toBuilder().mergeFrom(requested.build()).build(), wrong);
    if (complete != null) {
      wrong.addAll(limits.violations(complete));
    }
    RunDirectory folder = find(id);
    Optional<CheckpointStore.Kept> from = newestWhole(folder, old);
    int done = from.map(kept -> kept.checkpoint().epoch()).orElse(0);
    int least = done + (succeeded ? 1 : 0);
    if (complete != null && complete.hyperparameters().epochs() < least) {
      wrong.add(
          new ConfigViolation(
              "epochs",
              "%d: expected at least %d, for the run has completed %d"
                  .formatted(complete.hyperparameters().epochs(), least, done)));
    }
    if (complete == null || !wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    requireMayPublish(complete);
    long disk = diskOfCaller();
    synchronized (this) {
      // Another call with this id may have been served meanwhile.
      Optional<Run> earlier = earlier(requestId, id, requested.build());
      if (earlier.isPresent()) {
        return earlier.get();
      }
      requireRoom(disk);
      Run.Builder draft =
          Run.newBuilder().setRequestId(requestId).setRequestedConfig(requested).setResumedFrom(id);
      if (from.isPresent()) {
        Path file = from.get().file();
        return enqueue(draft.addCheckpoints(file.getFileName().toString()), complete, file);
      }
      String initial = old.getInitializedFrom();
      return enqueue(
          draft.setInitializedFrom(initial),
          complete,
          initial.isEmpty() ? null : folder.initialWeights());
    }
  }

  /** The checkpoint to resume from; empty: the run has never written one. */
  private static Optional<CheckpointStore.Kept> newestWhole(RunDirectory folder, Run run)
      throws RequestException, IOException {
    if (Files.isDirectory(folder.checkpoints())) {
      CheckpointStore checkpoints = folder.keptCheckpoints(run);
      Optional<CheckpointStore.Kept> newest = checkpoints.newest();
      boolean never =
          run.getCheckpointsCount() == 0
              && run.getState() != RunState.RUN_STATE_SUCCEEDED
              && checkpoints.isUntouched();
      if (newest.isPresent() || never) {
        return newest;
      }
    }
    throw new RequestException(
        Why.WRONG_STATE,
        "run %s has no undamaged checkpoint to resume from; start a new run"
            .formatted(folder.id()));
  }

  private ModelVersion publishNow(String id, String checkpoint, String model)
      throws RequestException, InvalidConfigException, IOException {
    RunDirectory folder = find(id);
    try (RunRecords.Hold hold =
        scheduler.find(id).isPresent() ? records.share(folder) : lock(folder, "publish")) {
      return publisher.publish(hold.record(), checkpoint, model);
    }
  }

  /**
   * The run that this request id has started.
   *
   * @throws RequestException it was for a different request
   */
  @GuardedBy("this") private Optional<Run> earlier(String requestId, String resumedFrom, RunConfig requested)
      throws RequestException, IOException {
    if (requestId.isEmpty()) {
      return Optional.empty();
    }
    Optional<RunDirectory> found = store.ofRequest(requestId);
    String id = found.isPresent() ? found.get().id() : requests.get(requestId);
    if (id == null || store.find(id).isEmpty()) {
      return Optional.empty();
    }
    Run run = get(id);
    if (!run.getRequestedConfig().equals(requested) || !run.getResumedFrom().equals(resumedFrom)) {
      throw new RequestException(
          Why.ALREADY_EXISTS,
          "request id '%s' has started run %s with a different request; choose another id"
              .formatted(requestId, id));
    }
    return Optional.of(run);
  }

  @GuardedBy("this") private Run enqueue(Run.Builder draft, TrainingConfig complete, @Nullable Path begin)
      throws IOException {
    RunDirectory folder =
        store.create(
            draft
                .setConfig(complete.config())
                .setByService(true)
                .setCaller(AccessControl.callerKey())
                .build(),
            begin);
    Optional<RunRecords.Hold> hold;
    try {
      hold = records.lock(folder);
    } catch (IOException e) {
      abandon(folder, e);
      throw e;
    }
    Run run = folder.read();
    remember(run);
    // Empty: another service that has just started found the run and locked it.
    if (hold.isPresent()) {
      metrics.found(run.getState());
      metrics.follow(hold.get().record());
      scheduler.add(new RunScheduler.Job(hold.get(), complete, new StopSignal()));
    }
    return run;
  }

  /** Fails a run that no caller knows of, so that the next start does not train it. */
  private static void abandon(RunDirectory folder, IOException failure) {
    try {
      folder.write(
          folder.read().toBuilder()
              .setState(RunState.RUN_STATE_FAILED)
              .setReason("cannot queue the run: " + ErrorMessages.oneLine(failure))
              .build());
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  @GuardedBy("this") private void remember(Run run) {
    if (limits.maxRunsPerDay().isPresent() && run.getByService()) {
      Instant created = Instant.ofEpochMilli(Timestamps.toMillis(run.getCreated()));
      if (created.isAfter(clock.instant().minus(Duration.ofDays(1)))) {
        starts.computeIfAbsent(run.getCaller(), key -> new ArrayDeque<>()).addLast(created);
      }
    }
  }

  private Optional<Run> read(RunDirectory folder) {
    try {
      Optional<RunScheduler.Job> job = scheduler.find(folder.id());
      return Optional.of(job.isPresent() ? job.get().record().run() : folder.readNow());
    } catch (IOException e) {
      if (damaged.add(folder.id())) {
        log.warn("skipping run {}: {}", folder.id(), ErrorMessages.oneLine(e));
      }
      return Optional.empty();
    }
  }

  @Override
  public RunDirectory folder(String id) throws RequestException {
    return find(id);
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
      throw ownedElsewhere(folder.id(), purpose);
    }
    return hold.get();
  }

  private static RequestException ownedElsewhere(String id, String purpose) {
    return new RequestException(
        Why.WRONG_STATE,
        "cannot %2$s run %1$s: it is not a run of this service and has not ended"
            .formatted(id, purpose));
  }

  private static void checkRequestId(String requestId, List<ConfigViolation> wrong) {
    if (requestId.length() > MAX_REQUEST_ID_LENGTH) {
      wrong.add(
          new ConfigViolation(
              "request_id",
              "%d characters: expected at most %d"
                  .formatted(requestId.length(), MAX_REQUEST_ID_LENGTH)));
    }
  }

  /** The complete config; null if it is invalid, which is added to {@code wrong}. */
  private static @Nullable TrainingConfig complete(RunConfig config, List<ConfigViolation> wrong) {
    try {
      return TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      wrong.addAll(e.violations());
      return null;
    }
  }
}
