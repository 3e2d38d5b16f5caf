package dev.dcgan.trainer;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import dev.dcgan.model.DurableFiles;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Optional;

/**
 * What a run leaves on the disk.
 *
 * <pre>
 *   run.json                 config and state: JSON form of dcgan.v1.Run
 *   metrics.jsonl            its events, one a line: JSON form of dcgan.v1.RunEvent
 *   checkpoints/             step-NNNNNNNN.safetensors
 *   samples/epoch-NNN.png    the same latents each time
 *   real-vs-generated.png
 *   tensorboard/             event files
 * </pre>
 */
record RunFolder(Path path) {

  private static final int FORMAT_VERSION = 1;
  private static final String RUN_FILE = "run.json";

  static RunFolder create(Path path, Run draft, Instant now) throws IOException {
    RunFolder folder = new RunFolder(path);
    Files.createDirectories(folder.checkpoints());
    Files.createDirectories(folder.samples());
    folder.write(
        draft.toBuilder()
            .setId(path.getFileName().toString())
            .setState(RunState.RUN_STATE_QUEUED)
            .setCreated(Timestamps.fromMillis(now.toEpochMilli()))
            .build());
    return folder;
  }

  /** The run that a checkpoint's file, {@code <run>/checkpoints/<file>}, lies in. */
  static Optional<RunFolder> of(Path checkpoint) {
    Path checkpoints = checkpoint.toAbsolutePath().normalize().getParent();
    Path run = checkpoints == null ? null : checkpoints.getParent();
    return Optional.ofNullable(run)
        .filter(path -> path.getFileName() != null)
        .map(RunFolder::new)
        .filter(RunFolder::exists);
  }

  String id() {
    return path.getFileName().toString();
  }

  boolean exists() {
    return Files.isRegularFile(path.resolve(RUN_FILE));
  }

  /**
   * The run as it was last written.
   *
   * @throws IOException damaged, or of a newer format; the message names the file
   */
  Run read() throws IOException {
    Path file = path.resolve(RUN_FILE);
    Run.Builder run = Run.newBuilder();
    try {
      JsonFormat.parser().ignoringUnknownFields().merge(Files.readString(file), run);
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(file + " is damaged: " + e.getMessage(), e);
    }
    if (run.getFormatVersion() < 1 || run.getFormatVersion() > FORMAT_VERSION) {
      throw new IOException(
          "%s has format_version %d; this program reads 1 to %d: use a newer program"
              .formatted(file, run.getFormatVersion(), FORMAT_VERSION));
    }
    return run.build();
  }

  /** Replaces run.json, whole or not at all. */
  void write(Run run) throws IOException {
    String json =
        JsonFormat.printer().print(run.toBuilder().setFormatVersion(FORMAT_VERSION).build());
    DurableFiles.replace(path.resolve(RUN_FILE), StandardCharsets.UTF_8.encode(json + "\n"));
  }

  /**
   * Takes the run for this process until the lock is closed or the process dies.
   *
   * @return empty where another has it
   */
  @SuppressWarnings("resource") // Closing the lock's channel is the caller's, through the lock.
  Optional<FileLock> tryLock() throws IOException {
    FileChannel channel =
        FileChannel.open(
            path.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      FileLock lock = channel.tryLock();
      if (lock != null) {
        return Optional.of(lock);
      }
    } catch (OverlappingFileLockException e) {
      // Another thread of this process has it.
      channel.close();
      return Optional.empty();
    }
    channel.close();
    return Optional.empty();
  }

  Path events() {
    return path.resolve("metrics.jsonl");
  }

  Path checkpoints() {
    return path.resolve("checkpoints");
  }

  Path samples() {
    return path.resolve("samples");
  }

  Path board() {
    return path.resolve("tensorboard");
  }

  Path realVersusGenerated() {
    return path.resolve("real-vs-generated.png");
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
