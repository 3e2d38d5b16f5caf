package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.server.Threads;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
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
 * Decodes sources' pictures on all processors and hands them on in their order; passes over
 * unreadable ones, up to a limit.
 *
 * <p>Runs on the caller's thread, which reads the sources and takes the results; other threads
 * decode. A bounded number of pictures is under way at once.
 */
final class Preparation implements Closeable {

  /** Takes the pictures that could be read. */
  interface Sink {

    /**
     * Takes one.
     *
     * @param position among those that could be read, from 0
     * @param pixels uint8 (height, width, channels) in the wanted shape
     */
    void accept(int position, byte[] pixels, int label) throws IOException;
  }

  private static final Logger log = LoggerFactory.getLogger("pictures");
  private static final int UNDER_WAY_PER_THREAD = 16;
  private static final int NAMED_IN_LOG = 5;
  private static final int NAMED_IN_REFUSAL = 10;
  private static final int SEARCHED_FOR_MIXTURE = 1000;
  private static final long LOG_EVERY = TimeUnit.SECONDS.toNanos(10);

  /** What became of a picture: pixels, or else why it is unreadable. */
  @SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
  private record Outcome(
      String place, int label, int channels, byte[] pixels, @Nullable String unreadable) {}

  private final String name;
  private final ImageShape wanted;
  private final boolean convertChannels;
  private final int total; // over all sources
  private final int maxUnreadable;
  private final Runnable progressed;
  private final int threads = Runtime.getRuntime().availableProcessors();
  private final ExecutorService decoders =
      Executors.newFixedThreadPool(threads, Threads.named("decoder"));

  // Mutable state, the caller's thread's
  private final List<String> unreadable = new ArrayList<>();
  private @Nullable String grey; // the first picture of each kind
  private @Nullable String colour;
  private int done;
  private final long started = System.nanoTime();
  private long logged = started;

  /**
   * Prepares to decode {@code total} pictures from one or more sources.
   *
   * @param name of the pictures, for messages
   * @param progressed told of each picture that was decoded or found unreadable
   */
  Preparation(
      String name, ImageShape wanted, int total, Datasets.Options options, Runnable progressed) {
    this.name = name;
    this.wanted = wanted;
    this.total = total;
    this.progressed = progressed;
    convertChannels = options.convertChannels();
    maxUnreadable = options.maxUnreadable().orElse(Math.max(1, total / 100));
  }

  /**
   * Decodes all of a source's pictures.
   *
   * @throws IOException too many are unreadable; they have not the wanted channels and are not to
   *     be converted; the thread was interrupted; or what the source and the sink throw
   */
  void run(PictureSource source, Sink sink) throws IOException {
    ArrayDeque<Future<Outcome>> underWay = new ArrayDeque<>();
    int position = 0;
    for (int i = 0; i < source.size() || !underWay.isEmpty(); ) {
      if (i < source.size() && underWay.size() < threads * UNDER_WAY_PER_THREAD) {
        PictureSource.Encoded picture = source.next();
        underWay.add(decoders.submit(() -> decode(picture)));
        i++;
        continue;
      }
      Outcome outcome = await(underWay.remove());
      done++;
      progressed.run();
      if (outcome.unreadable != null) {
        passOver(outcome.place + ": " + outcome.unreadable);
        continue;
      }
      requireChannels(outcome);
      if (convertChannels || outcome.channels == wanted.channels()) {
        sink.accept(position++, outcome.pixels, outcome.label);
      }
      logProgress();
    }
    requireOneKind();
  }

  private Outcome decode(PictureSource.Encoded picture) {
    try {
      Bitmap bitmap = picture.decode(wanted);
      return new Outcome(
          picture.place(), picture.label(), bitmap.channels(), bitmap.fit(wanted), null);
    } catch (IOException e) {
      return new Outcome(picture.place(), picture.label(), 0, new byte[0], reason(e));
    }
  }

  private static String reason(IOException e) {
    // A file system's exception has the path for a message, which the place says already.
    return e.getMessage() == null || e instanceof FileSystemException
        ? e.getClass().getSimpleName()
        : e.getMessage();
  }

  private static Outcome await(Future<Outcome> outcome) throws IOException {
    // A future that is done already does not look at the interrupt flag.
    if (Thread.currentThread().isInterrupted()) {
      throw interrupted();
    }
    try {
      return outcome.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw interrupted();
    } catch (ExecutionException e) {
      throw new IllegalStateException("decoding pictures failed", e.getCause());
    }
  }

  private static InterruptedIOException interrupted() {
    return new InterruptedIOException("interrupted while decoding images");
  }

  private void passOver(String picture) throws IOException {
    unreadable.add(picture);
    if (unreadable.size() > maxUnreadable) {
      throw new IOException(
          "%s: %d of the first %d pictures are unreadable, of %d allowed (--max-unreadable): %s"
              .formatted(
                  name,
                  unreadable.size(),
                  done,
                  maxUnreadable,
                  PictureFiles.some(unreadable, NAMED_IN_REFUSAL)));
    }
    if (unreadable.size() <= NAMED_IN_LOG) {
      log.warn("skipped an unreadable picture: {}", picture);
    }
  }

  private void requireChannels(Outcome outcome) throws IOException {
    if (convertChannels) {
      return;
    }
    if (outcome.channels == 1 && grey == null) {
      grey = outcome.place;
    } else if (outcome.channels == 3 && colour == null) {
      colour = outcome.place;
    }
    if (grey != null && colour != null) {
      throw new IOException(
          "%s mixes grey pictures (%s) and colour (%s): --channels 1 or 3 converts them all"
              .formatted(name, grey, colour));
    }
    if (done >= SEARCHED_FOR_MIXTURE) {
      requireOneKind();
    }
  }

  /** Refuses pictures that are all of the other kind, once that is clear enough. */
  private void requireOneKind() throws IOException {
    String other = wanted.channels() == 1 ? colour : grey;
    if (other != null) {
      throw new IOException(
          "%s has %s pictures (%s), the network is for %s: --channels %d takes them as they are, %d converts them"
              .formatted(
                  name,
                  Bitmap.colour(4 - wanted.channels()),
                  other,
                  Bitmap.colour(wanted.channels()),
                  4 - wanted.channels(),
                  wanted.channels()));
    }
  }

  private void logProgress() {
    long now = System.nanoTime();
    if (now - logged >= LOG_EVERY && done < total) {
      logged = now;
      long left = Math.round((now - started) / 1e9 * (total - done) / done);
      log.info("decoded {} of {} pictures, about {} s to go", done, total, left);
    }
  }

  /**
   * Ends the preparing: says how many pictures were passed over.
   *
   * @param trained how many there are to train on
   * @throws IOException none
   */
  void finish(int trained) throws IOException {
    if (trained == 0) {
      throw new IOException(
          "%s: not one picture to train on can be read: %s"
              .formatted(name, PictureFiles.some(unreadable, NAMED_IN_REFUSAL)));
    }
    if (!unreadable.isEmpty()) {
      log.warn(
          "{}: skipped {} unreadable of {} pictures ({} allowed)",
          name,
          unreadable.size(),
          done,
          maxUnreadable);
    }
  }

  /** Stops what is under way. */
  @Override
  public void close() {
    decoders.shutdownNow();
  }
}
