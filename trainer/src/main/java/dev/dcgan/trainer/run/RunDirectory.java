package dev.dcgan.trainer.run;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.JsonLimits;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of a run.
 *
 * <pre>
 *   run.json                 config and state: JSON form of dcgan.v1.Run
 *   initial-weights.safetensors  of --init-from
 *   metrics.jsonl            its events, one a line: JSON form of dcgan.v1.RunEvent
 *   checkpoints/             step-NNNNNNNN.safetensors
 *   samples/epoch-NNN.png    sample grids, always of the same latents
 *   real-vs-generated.png
 *   tensorboard/             event files
 * </pre>
 */
public record RunDirectory(Path path) {

  private static final Logger log = LoggerFactory.getLogger(RunDirectory.class);
  private static final int FORMAT_VERSION = 2;
  // A thousand checkpoints and as many publications are 0.2 MiB; a gRPC client accepts 4 MiB.
  private static final int MAX_RUN_BYTES = 2 << 20;
  private static final String RUN_FILE = "run.json";
  private static final String LOCK_FILE = ".lock";
  private static final Pattern SAMPLES = Pattern.compile("epoch-[0-9]{3,9}\\.png");

  /**
   * Creates the files of a new run.
   *
   * @param begin the checkpoint that the run continues, or whose weights it starts from if the
   *     draft says so; null: it starts from random weights
   */
  static RunDirectory create(Path path, Run draft, @Nullable Path begin, Instant now)
      throws IOException {
    RunDirectory folder = new RunDirectory(path);
    Files.createDirectories(folder.checkpoints());
    Files.createDirectories(folder.samples());
    if (begin != null) {
      // Before run.json, which makes this a run: it must never be found without its checkpoint.
      link(
          draft.getInitializedFrom().isEmpty()
              ? folder.checkpoints().resolve(begin.getFileName())
              : folder.initialWeights(),
          begin);
    }
    folder.write(
        draft.toBuilder()
            .setId(path.getFileName().toString())
            .setState(RunState.RUN_STATE_QUEUED)
            .setCreated(Timestamps.fromMillis(now.toEpochMilli()))
            .build());
    return folder;
  }

  /** The run of a checkpoint's file, {@code <run>/checkpoints/<file>}. */
  public static Optional<RunDirectory> of(Path checkpoint) {
    Path checkpoints = checkpoint.toAbsolutePath().normalize().getParent();
    Path run = checkpoints == null ? null : checkpoints.getParent();
    return Optional.ofNullable(run)
        .filter(path -> path.getFileName() != null)
        .map(RunDirectory::new)
        .filter(RunDirectory::exists);
  }

  public String id() {
    return path.getFileName().toString();
  }

  boolean exists() {
    return Files.isRegularFile(path.resolve(RUN_FILE));
  }

  /**
   * Reads run.json.
   *
   * @throws IOException the file is damaged or of a newer format
   */
  public Run read() throws IOException {
    Path file = path.resolve(RUN_FILE);
    return parse(file, content(file)).toBuilder().setId(id()).build();
  }

  /** The run in the content of a run.json; it may have another id. */
  static Run parse(Path file, byte[] json) throws IOException {
    Run.Builder run = Run.newBuilder();
    try {
      Optional<String> problem = JsonLimits.problem(json);
      if (problem.isPresent()) {
        throw new InvalidProtocolBufferException("it has " + problem.get());
      }
      JsonFormat.parser()
          .ignoringUnknownFields()
          .merge(new String(json, StandardCharsets.UTF_8), run);
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(file + " is damaged: " + e.getMessage(), e);
    }
    int version = run.getFormatVersion();
    if (version != FORMAT_VERSION) {
      throw new IOException(
          "%s has format_version %s; expected %d: %s"
              .formatted(
                  file,
                  Integer.toUnsignedString(version),
                  FORMAT_VERSION,
                  version == 0 || version == 1
                      ? "start a new run, or use the program that wrote it"
                      : "use a newer program"));
    }
    if (run.hasConfig()) {
      run.setConfig(complete(run.getConfig()));
    }
    return run.build();
  }

  private static byte[] content(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_RUN_BYTES + 1);
      if (bytes.length > MAX_RUN_BYTES) {
        throw new IOException(
            "%s has %d bytes; expected at most %d: remove it, or restore the run from a backup"
                .formatted(file, Files.size(file), MAX_RUN_BYTES));
      }
      return bytes;
    }
  }

  /** Earlier versions did not record these: they knew nothing else. */
  private static RunConfig complete(RunConfig recorded) {
    RunConfig.Builder config = recorded.toBuilder();
    if (!recorded.hasMirror()) {
      config.setMirror(false);
    }
    if (recorded.getAugment().isEmpty()) {
      config.setAugment("none");
    }
    if (recorded.getFakes().isEmpty()) {
      config.setFakes("fresh");
    }
    if (!recorded.hasLearningRateDecay()) {
      config.setLearningRateDecay(0);
    }
    return config.build();
  }

  /**
   * Removes the temporary files of a process that was killed while it wrote. To be called with the
   * run locked.
   *
   * @return the number of files
   */
  int sweep() throws IOException {
    int swept = 0;
    for (Path folder : List.of(path, checkpoints(), samples())) {
      if (Files.isDirectory(folder)) {
        try (Stream<Path> entries = Files.list(folder)) {
          for (Path entry : entries.toList()) {
            if (AtomicFiles.unfinished(entry).isPresent() && Files.deleteIfExists(entry)) {
              swept++;
            }
          }
        } catch (UncheckedIOException e) {
          throw e.getCause();
        }
      }
    }
    return swept;
  }

  /** Replaces run.json atomically. */
  public void write(Run run) throws IOException {
    String json =
        JsonFormat.printer().print(run.toBuilder().setFormatVersion(FORMAT_VERSION).build());
    AtomicFiles.replace(path.resolve(RUN_FILE), StandardCharsets.UTF_8.encode(json + "\n"));
  }

  /**
   * Locks the run until the lock is closed or the process ends.
   *
   * @return empty if it is locked already, by another process or by this one
   */
  Optional<RunLock> tryLock() throws IOException {
    return RunLock.tryLock(path.resolve(LOCK_FILE));
  }

  /** Links a checkpoint: such a file is replaced, never changed. */
  private static void link(Path link, Path file) throws IOException {
    // A process that was killed while it created the run may have left a link, or half of a copy.
    Files.deleteIfExists(link);
    try {
      Files.createLink(link, file);
    } catch (UnsupportedOperationException | FileSystemException e) {
      log.debug("cannot link {}; copying it", file, e);
      Files.copy(file, link);
    }
  }

  /** The checkpoint whose weights a new run starts from; absent if they are random. */
  public Path initialWeights() {
    return path.resolve("initial-weights.safetensors");
  }

  /**
   * Reads run.json, and says whether the run is interrupted: RUNNING, but not locked by a process.
   *
   * @throws IOException the file is damaged or of a newer format
   */
  public Run readNow() throws IOException {
    Run run = read();
    return run.getState() == RunState.RUN_STATE_RUNNING && !RunLock.isHeld(path.resolve(LOCK_FILE))
        ? run.toBuilder().setInterrupted(true).build()
        : run;
  }

  Path events() {
    return path.resolve("metrics.jsonl");
  }

  public Path checkpoints() {
    return path.resolve("checkpoints");
  }

  /** The checkpoints of a run that is not training, or for reading only. */
  public CheckpointStore keptCheckpoints(Run run) {
    return new CheckpointStore(
        checkpoints(), run.getConfig().getKeepCheckpoints(), run.getBestCheckpoint());
  }

  public Path samples() {
    return path.resolve("samples");
  }

  /** The sample grid after so many epochs. */
  public Path samples(int epoch) {
    return samples().resolve("epoch-%03d.png".formatted(epoch));
  }

  /** The sample grid of that name, or {@link #realVersusGenerated}, if there is one. */
  public Optional<Path> image(String name) {
    Path file = realVersusGenerated();
    if (!name.equals(file.getFileName().toString())) {
      if (!SAMPLES.matcher(name).matches()) {
        return Optional.empty();
      }
      file = samples().resolve(name);
    }
    return Files.isRegularFile(file) ? Optional.of(file) : Optional.empty();
  }

  public Path board() {
    return path.resolve("tensorboard");
  }

  public Path realVersusGenerated() {
    return path.resolve("real-vs-generated.png");
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
