package dev.dcgan.trainer.run;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The folder with a folder for each run. Thread-safe; any number of processes may share it. */
public final class RunStore {

  private static final Logger log = LoggerFactory.getLogger("runs");
  private static final Pattern ID = Pattern.compile("[a-z0-9][a-z0-9._-]{0,100}");
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss").withZone(ZoneOffset.UTC);

  private final Path root;
  private final InstantSource clock;

  public RunStore(Path root, InstantSource clock) {
    this.root = root;
    this.clock = clock;
  }

  /** Whether {@code id} may name a run: nothing that leads out of the folder. */
  public static boolean isId(String id) {
    return ID.matcher(id).matches();
  }

  /** Where what runs share and can be made again lies: classifiers. */
  public static Path cache(Path root) {
    return root.resolve(".cache");
  }

  /**
   * Makes a queued run's folder, {@code <UTC time>-<model>}; two runs made in one second get a
   * number each.
   *
   * @param draft config and what else is known; id, state and times are filled in here
   */
  public RunDirectory create(Run draft) throws IOException {
    return create(draft, null);
  }

  /**
   * {@link #create(Run)}, with the checkpoint that the run is to begin with; null: it begins anew.
   */
  public RunDirectory create(Run draft, @Nullable Path begin) throws IOException {
    AtomicFiles.createFolder(root);
    Instant now = clock.instant();
    String name = TIME.format(now) + "-" + draft.getConfig().getModel();
    for (int n = 1; ; n++) {
      String id = n == 1 ? name : name + "-" + n;
      try {
        Path folder = Files.createDirectory(root.resolve(id)); // By one process alone.
        AtomicFiles.syncFolder(root);
        return RunDirectory.create(folder, draft, begin, now);
      } catch (FileAlreadyExistsException e) {
        log.debug("{} is taken", id);
      }
    }
  }

  /**
   * Makes a queued run's folder of a given id. One that a process left without a run, because it
   * was killed, is filled.
   *
   * @throws IOException there is such a run, or it is being made
   */
  public RunDirectory create(String id, Run draft) throws IOException {
    RunDirectory folder = new RunDirectory(AtomicFiles.createFolder(root.resolve(id)));
    // The lock: of several that come at once, one makes the run.
    try (RunLock lock = folder.tryLock().orElse(null)) {
      if (lock == null || folder.exists()) {
        throw new IOException(
            "run %s was made by another process just now; start again to go on with it"
                .formatted(id));
      }
      return RunDirectory.create(folder.path(), draft, null, clock.instant());
    }
  }

  /** The run of that id, if there is one. */
  public Optional<RunDirectory> find(String id) {
    if (!isId(id)) {
      return Optional.empty();
    }
    RunDirectory folder = new RunDirectory(root.resolve(id));
    return folder.exists() ? Optional.of(folder) : Optional.empty();
  }

  /** All runs, newest first. */
  public List<RunDirectory> list() throws IOException {
    List<RunDirectory> runs = new ArrayList<>();
    try (Stream<Path> entries = Files.list(root)) {
      entries
          .filter(entry -> isId(entry.getFileName().toString()))
          .sorted(Comparator.reverseOrder())
          .map(RunDirectory::new)
          .filter(RunDirectory::exists)
          .forEach(runs::add);
    } catch (NoSuchFileException e) {
      log.debug("{} does not exist yet", root);
    }
    return runs;
  }
}
