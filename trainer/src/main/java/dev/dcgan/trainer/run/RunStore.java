package dev.dcgan.trainer.run;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.Sha256;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The folder of all runs. Thread-safe; any number of processes may share it. */
public final class RunStore {

  private static final Logger log = LoggerFactory.getLogger(RunStore.class);
  private static final int MAX_ID_LENGTH = 101;
  private static final Pattern ID =
      Pattern.compile("[a-z0-9][a-z0-9._-]{0,%d}".formatted(MAX_ID_LENGTH - 1));
  // No names of runs: they begin with a dot.
  private static final String CLAIMS = ".requests";
  private static final String REMOVED = ".removed-";
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
    if (!draft.getRequestId().isEmpty()) {
      return create(claim(draft), draft, begin);
    }
    Instant now = clock.instant();
    return fill(createFolder(draft, now), draft, begin, now);
  }

  /** Creates a folder of a new name. */
  private Path createFolder(Run draft, Instant now) throws IOException {
    AtomicFiles.createFolder(root);
    String name = TIME.format(now) + "-" + draft.getConfig().getModel();
    for (int n = 1; ; n++) {
      String id = n == 1 ? name : name + "-" + n;
      try {
        Path folder = Files.createDirectory(root.resolve(id)); // Only one process succeeds.
        AtomicFiles.syncFolder(root);
        return folder;
      } catch (FileAlreadyExistsException e) {
        log.debug("{} is taken", id);
      }
    }
  }

  /**
   * The id of the run that a request id starts. It is the same for all processes and for ever, also
   * if a process is killed before the run exists: the claim of the id is the first that is written.
   */
  private String claim(Run draft) throws IOException {
    Path claim = claimOf(draft.getRequestId());
    Optional<String> claimed = readClaim(claim);
    if (claimed.isPresent()) {
      return claimed.get();
    }
    AtomicFiles.createFolder(root.resolve(CLAIMS));
    Path folder = createFolder(draft, clock.instant());
    String id = folder.getFileName().toString();
    if (AtomicFiles.create(claim, StandardCharsets.UTF_8.encode(id))) {
      return id;
    }
    Files.delete(folder);
    return readClaim(claim)
        .orElseThrow(() -> new IOException(claim + " is damaged; expected the id of a run"));
  }

  /** The run that a request id has started, in this process or another. */
  public Optional<RunDirectory> ofRequest(String requestId) throws IOException {
    return readClaim(claimOf(requestId)).flatMap(this::find);
  }

  private Path claimOf(String requestId) {
    byte[] id = requestId.getBytes(StandardCharsets.UTF_8);
    return root.resolve(CLAIMS).resolve(new Sha256().add(id).hex());
  }

  private static Optional<String> readClaim(Path claim) throws IOException {
    try (InputStream in = Files.newInputStream(claim)) {
      String id = new String(in.readNBytes(MAX_ID_LENGTH + 1), StandardCharsets.UTF_8);
      return isId(id) ? Optional.of(id) : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /**
   * Removes an ended run that no process has locked. To be called by {@link RunRecords}, which
   * knows whether this process reads it.
   *
   * @return whether it was removed
   */
  boolean remove(RunDirectory run) throws IOException {
    Path hidden = root.resolve(REMOVED + run.id());
    String requestId;
    try (RunLock lock = run.tryLock().orElse(null)) {
      if (lock == null) {
        return false;
      }
      Run found = run.read();
      if (!RunRecord.isEnd(found.getState())) {
        return false;
      }
      requestId = found.getRequestId();
      // First, so that a run is there as a whole or not at all.
      Files.move(run.path(), hidden, StandardCopyOption.ATOMIC_MOVE);
    }
    if (!requestId.isEmpty()) {
      Files.deleteIfExists(claimOf(requestId));
    }
    delete(hidden);
    return true;
  }

  /**
   * Removes what killed processes left: temporary files of runs that no process has locked, runs
   * that were not removed completely, and, after a day, claims, cached files and folders of runs
   * that were never completed.
   *
   * @return the number of files and folders
   */
  public int sweep() throws IOException {
    int swept = 0;
    for (RunDirectory run : list()) {
      try (RunLock lock = run.tryLock().orElse(null)) {
        if (lock != null) {
          swept += run.sweep();
        }
      }
    }
    for (Path entry : entries(root)) {
      if (entry.getFileName().toString().startsWith(REMOVED)) {
        delete(entry);
        swept++;
      } else if (isId(entry.getFileName().toString()) && isOld(entry) && isEmpty(entry)) {
        Files.delete(entry);
        swept++;
      }
    }
    // No lock says whether somebody still writes these.
    for (Path shared : List.of(root.resolve(CLAIMS), cache())) {
      for (Path entry : entries(shared)) {
        if (AtomicFiles.unfinished(entry).isPresent()
            && isOld(entry)
            && Files.deleteIfExists(entry)) {
          swept++;
        }
      }
    }
    return swept;
  }

  /** Whether no process that is alive can have just made it. */
  private boolean isOld(Path file) throws IOException {
    Instant dayAgo = clock.instant().minus(Duration.ofDays(1));
    return Files.getLastModifiedTime(file).toInstant().isBefore(dayAgo);
  }

  private static boolean isEmpty(Path folder) throws IOException {
    return Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) && entries(folder).isEmpty();
  }

  private static List<Path> entries(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
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
    try {
      delete(folder);
    } catch (IOException e) {
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

  /**
   * The size of all files of some runs. A file that several of them have, as a checkpoint that
   * another run continues, counts once. Files that disappear meanwhile, and runs that cannot be
   * read, do not count.
   */
  public long bytesOf(Predicate<Run> some) throws IOException {
    FileSizes sizes = new FileSizes();
    for (RunDirectory folder : list()) {
      if (isOneOf(some, folder)) {
        Files.walkFileTree(folder.path(), sizes);
      }
    }
    return sizes.bytes;
  }

  private static boolean isOneOf(Predicate<Run> some, RunDirectory folder) {
    try {
      return some.test(folder.read());
    } catch (IOException e) {
      log.debug("the size of run {} is not known", folder.id(), e);
      return false;
    }
  }

  private static final class FileSizes extends SimpleFileVisitor<Path> {

    // Mutable state
    private final Set<Object> counted = new HashSet<>();
    private long bytes;

    @Override
    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
      Object key = attributes.fileKey();
      if (key == null || counted.add(key)) {
        bytes += attributes.size();
      }
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
      return continueIfGone(e);
    }

    @Override
    public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException e)
        throws IOException {
      return e == null ? FileVisitResult.CONTINUE : continueIfGone(e);
    }

    private static FileVisitResult continueIfGone(IOException e) throws IOException {
      if (e instanceof NoSuchFileException) {
        return FileVisitResult.CONTINUE;
      }
      throw e;
    }
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
