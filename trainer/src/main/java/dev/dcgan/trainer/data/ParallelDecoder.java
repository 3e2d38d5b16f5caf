package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.data.image.Bitmap;
import dev.dcgan.trainer.data.source.ImageFiles;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decodes image sources on all processors and delivers the images in their order; skips unreadable
 * ones, up to a limit.
 *
 * <p>The caller's thread reads the sources and receives the results; a pool of threads decodes. The
 * number of images in flight is bounded.
 */
final class ParallelDecoder implements Closeable {

  /** Receives the decoded images. */
  interface Sink {

    /**
     * Receives one image.
     *
     * @param position its index among the readable images of the source, from 0
     * @param pixels uint8 (height, width, channels) in the target shape
     */
    void accept(int position, byte[] pixels, int label) throws IOException;
  }

  private static final Logger log = LoggerFactory.getLogger(ParallelDecoder.class);
  private static final int MAX_IN_FLIGHT_PER_THREAD = 16;
  // Reading goes on beyond the limit of unreadable images to name them all, up to so many.
  private static final int MAX_NAMED_IN_LOG = 100;
  private static final int MAX_NAMED_IN_ERROR = 10;
  private static final int MIN_IMAGES_TO_JUDGE_CHANNELS = 1000;
  private static final long LOG_INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** A decoded image, or the reason why it is unreadable. */
  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
  private record Outcome(
      String location,
      int label,
      int channels,
      boolean rotated,
      byte[] pixels,
      @Nullable String unreadable) {}

  private final String name;
  private final ImageShape target;
  private final boolean convertChannels;
  private final int total; // over all sources
  private final int maxUnreadable;
  private final Runnable onProgress;
  private final int threads = Runtime.getRuntime().availableProcessors();
  private final ExecutorService decoders =
      Executors.newFixedThreadPool(threads, Threads.named("decoder"));

  // Mutable state, used by the caller's thread only
  private final List<String> unreadable = new ArrayList<>();
  private final int[] channelCounts = new int[4]; // images by channels
  private @Nullable String grey; // location of the first grey image
  private @Nullable String color; // location of the first RGB image
  private int rotated;
  private int done;
  private final long started = System.nanoTime();
  private long logged = started;

  /**
   * Creates a decoder for {@code total} images from one or more sources.
   *
   * @param name the dataset's name in messages
   * @param onProgress called for each image that was decoded or found unreadable
   */
  ParallelDecoder(
      String name, ImageShape target, int total, DatasetOptions options, Runnable onProgress) {
    this.name = name;
    this.target = target;
    this.total = total;
    this.onProgress = onProgress;
    convertChannels = options.convertChannels();
    maxUnreadable = options.maxUnreadable().orElse(Math.max(1, total / 100));
  }

  /**
   * Decodes all images of a source.
   *
   * @throws IOException if too many images are unreadable, their channels do not match the target
   *     and are not to be converted, the thread is interrupted, or the source or the sink fails
   */
  void decode(ImageSource source, Sink sink) throws IOException {
    ArrayDeque<Future<Outcome>> inFlight = new ArrayDeque<>();
    int position = 0;
    for (int i = 0; i < source.size() || !inFlight.isEmpty(); ) {
      if (i < source.size() && inFlight.size() < threads * MAX_IN_FLIGHT_PER_THREAD) {
        ImageSource.Encoded image = source.next();
        inFlight.add(decoders.submit(() -> decode(image)));
        i++;
        continue;
      }
      Outcome outcome = await(inFlight.remove());
      done++;
      onProgress.run();
      if (outcome.unreadable != null) {
        skip(outcome.location + ": " + outcome.unreadable);
        continue;
      }
      channelCounts[outcome.channels]++;
      rotated += outcome.rotated ? 1 : 0;
      checkChannels(outcome);
      if (convertChannels || outcome.channels == target.channels()) {
        sink.accept(position++, outcome.pixels, outcome.label);
      }
      logProgress();
    }
    requireTargetChannels();
  }

  private Outcome decode(ImageSource.Encoded image) {
    try {
      Bitmap bitmap = image.decode(target);
      return new Outcome(
          image.location(),
          image.label(),
          bitmap.channels(),
          bitmap.rotated(),
          bitmap.fit(target),
          null);
    } catch (IOException e) {
      return new Outcome(image.location(), image.label(), 0, false, new byte[0], reason(e));
    }
  }

  private static String reason(IOException e) {
    if (e instanceof AccessDeniedException) {
      return "no permission to read it";
    }
    // The message of a FileSystemException is the path, which the location names already.
    return e.getMessage() == null || e instanceof FileSystemException
        ? e.getClass().getSimpleName()
        : e.getMessage();
  }

  private static Outcome await(Future<Outcome> outcome) throws IOException {
    // A future that is complete already does not look at the interrupt flag.
    if (Thread.currentThread().isInterrupted()) {
      throw interrupted();
    }
    try {
      return outcome.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw interrupted();
    } catch (ExecutionException e) {
      throw new IllegalStateException("cannot decode images", e.getCause());
    }
  }

  private static InterruptedIOException interrupted() {
    return new InterruptedIOException("interrupted while decoding images");
  }

  private void skip(String image) throws IOException {
    unreadable.add(image);
    if (unreadable.size() <= MAX_NAMED_IN_LOG) {
      log.warn("skipped an unreadable image: {}", image);
    }
    if (unreadable.size() > Math.max(maxUnreadable, MAX_NAMED_IN_LOG)) {
      requireFewUnreadable();
    }
  }

  private void requireFewUnreadable() throws IOException {
    if (unreadable.size() > maxUnreadable) {
      throw new IOException(
          "cannot read %s: %d of %s%d images are unreadable; expected at most %d (--max-unreadable): %s"
              .formatted(
                  name,
                  unreadable.size(),
                  done < total ? "the first " : "",
                  done,
                  maxUnreadable,
                  ImageFiles.summarize(unreadable, MAX_NAMED_IN_ERROR)));
    }
  }

  private void checkChannels(Outcome outcome) throws IOException {
    if (convertChannels) {
      return;
    }
    if (outcome.channels == 1 && grey == null) {
      grey = outcome.location;
    } else if (outcome.channels == 3 && color == null) {
      color = outcome.location;
    }
    if (grey != null && color != null) {
      throw new IOException(
          "cannot read %s: it mixes grey (%s) and RGB images (%s); use --channels 1, or --preset paper64 --channels 3, to convert them all"
              .formatted(name, grey, color));
    }
    if (done >= MIN_IMAGES_TO_JUDGE_CHANNELS) {
      requireTargetChannels();
    }
  }

  /** Fails if the images seen so far have other channels than the target. */
  private void requireTargetChannels() throws IOException {
    String other = target.channels() == 1 ? color : grey;
    if (other != null) {
      throw new IOException(
          "cannot read %s: it has %s images (%s); expected %s: use %s to keep them as they are, --channels %d to convert them"
              .formatted(
                  name,
                  Bitmap.channelsName(4 - target.channels()),
                  other,
                  Bitmap.channelsName(target.channels()),
                  // Only paper64 generates RGB images.
                  target.channels() == 1 ? "--preset paper64" : "--channels 1",
                  target.channels()));
    }
  }

  private void logProgress() {
    long now = System.nanoTime();
    if (now - logged >= LOG_INTERVAL_NANOS && done < total) {
      logged = now;
      long left = Math.round((now - started) / 1e9 * (total - done) / done);
      log.info("decoded {} of {} images: eta_seconds={}", done, total, left);
    }
  }

  /**
   * Logs how many images were skipped.
   *
   * @param trainingImages the number of images to train on
   * @throws IOException if there are none
   */
  void finish(int trainingImages) throws IOException {
    if (trainingImages == 0) {
      throw new IOException(
          "cannot read %s: every image to train on is unreadable (%d of %d images): %s"
              .formatted(
                  name,
                  unreadable.size(),
                  done,
                  ImageFiles.summarize(unreadable, MAX_NAMED_IN_ERROR)));
    }
    requireFewUnreadable();
    if (!unreadable.isEmpty()) {
      log.warn(
          "{}: skipped {} unreadable of {} images ({} allowed)",
          name,
          unreadable.size(),
          done,
          maxUnreadable);
    }
  }

  /** The number of unreadable images so far. */
  int unreadable() {
    return unreadable.size();
  }

  /** The number of images so far that their files have turned or mirrored. */
  int rotated() {
    return rotated;
  }

  /** The colors of the images so far: {@code grey}, {@code RGB} or {@code 12 grey, 3 RGB}. */
  String colors() {
    int grey = channelCounts[1];
    int rgb = channelCounts[3];
    return rgb == 0 ? "grey" : grey == 0 ? "RGB" : "(%d grey, %d RGB)".formatted(grey, rgb);
  }

  /** Stops decoding. */
  @Override
  public void close() {
    decoders.shutdownNow();
  }
}
