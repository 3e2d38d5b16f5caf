package dev.dcgan.trainer.run;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.io.UncheckedIOException;
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

/** The folder of all runs. Thread-safe; any number of processes may share it. */
public final class RunStore {

  private static final Logger log = LoggerFactory.getLogger(RunStore.class);
  private static final Pattern ID = Pattern.compile("[a-z0-9][a-z0-9._-]{0,100}");
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss").withZone(ZoneOffset.UTC);

  private final Path root;
  private final InstantSource clock;

  public RunStore(Path root, InstantSource clock) {
    this.root = root;
    this.clock = clock;
  }

  /** Whether {@code id} is a valid run id; such an id cannot lead out of the folder. */
  public static boolean isId(String id) {
    return ID.matcher(id).matches();
  }

  /** The folder of what runs share and can recreate: classifiers. */
  public static Path cache(Path root) {
    return root.resolve(".cache");
  }

  /** The cache of these runs. */
  public Path cache() {
    return cache(root);
  }

  /**
   * Creates a queued run, {@code <UTC time>-<model>}; a number tells runs of one second apart.
   *
   * @param draft the config and what else is known; id, state and times are set here
   */
  public RunDirectory create(Run draft) throws IOException {
    return create(draft, null);
  }

  /**
   * As {@link #create(Run)}.
   *
   * @param begin the checkpoint that the run continues, or whose weights it starts from if the
   *     draft says so; null: it starts from random weights
   */
  public RunDirectory create(Run draft, @Nullable Path begin) throws IOException {
    AtomicFiles.createFolder(root);
    Instant now = clock.instant();
    String name = TIME.format(now) + "-" + draft.getConfig().getModel();
    for (int n = 1; ; n++) {
      String id = n == 1 ? name : name + "-" + n;
      try {
        Path folder = Files.createDirectory(root.resolve(id)); // Only one process succeeds.
        AtomicFiles.syncFolder(root);
        return fill(folder, draft, begin, now);
      } catch (FileAlreadyExistsException e) {
        log.debug("{} is taken", id);
      }
    }
  }

  /** Creates the files of a run; if the disk is full, say, nothing is left behind. */
  private static RunDirectory fill(Path folder, Run draft, @Nullable Path begin, Instant now)
      throws IOException {
    try {
      return RunDirectory.create(folder, draft, begin, now);
    } catch (IOException e) {
      if (!new RunDirectory(folder).exists()) {
        deleteAfter(e, folder);
      }
      throw e;
    }
  }

  private static void deleteAfter(IOException failure, Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException | UncheckedIOException e) {
      failure.addSuppressed(e);
    }
  }

  /**
   * Creates a queued run with a given id. The folder may exist without a run, if a process was
   * killed while it created it.
   *
   * @throws IOException there is such a run, or another process is creating it
   */
  public RunDirectory create(String id, Run draft) throws IOException {
    return create(id, draft, null);
  }

  /**
   * As {@link #create(String, Run)}.
   *
   * @param begin as for {@link #create(Run, Path)}
   */
  public RunDirectory create(String id, Run draft, @Nullable Path begin) throws IOException {
    RunDirectory folder = new RunDirectory(AtomicFiles.createFolder(root.resolve(id)));
    // Of several processes at once, the one with the lock creates the run.
    try (RunLock lock = folder.tryLock().orElse(null)) {
      if (lock == null || folder.exists()) {
        throw new IOException(
            "cannot create run %s: another process has just created it; start again to continue it"
                .formatted(id));
      }
      return RunDirectory.create(folder.path(), draft, begin, clock.instant());
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
