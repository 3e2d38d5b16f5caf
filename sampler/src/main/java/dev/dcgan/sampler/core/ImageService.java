package dev.dcgan.sampler.core;

import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.QueuedRequest;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.v1.ImageFormat;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * From a checked request to its answer: what all doors share. Thread-safe; never blocks.
 *
 * <p>Latents are made on the caller's thread, beside inference. Pictures are compressed on {@code
 * encoders}; answers that need no compression are put together where they are sent from. Inference
 * threads do neither.
 */
public final class ImageService {

  /** The limit on what a client receives in one message, unless it was told otherwise. */
  public static final int MAX_ANSWER_BYTES = 4 << 20;

  static final int MAX_CHUNK_BYTES = (1 << 20) - 1;

  // Enough to keep two sessions busy while the chunk before is on its way.
  private static final int CHUNK_IMAGES = 256;

  private final Executor encoders;

  public ImageService(Executor encoders) {
    this.encoders = encoders;
  }

  /**
   * Starts to make all images of a request as one answer, into which they {@link #requireFits fit}.
   *
   * @param nanosLeft until the caller's deadline, or {@link BatchScheduler#NO_DEADLINE}
   * @param sender where the answer is sent from
   */
  public Pending answer(ServedVersion model, ImageRequest asked, long nanosLeft, Executor sender)
      throws QueueFullException, TooLateException {
    QueuedRequest request = model.scheduler().admit(asked.count(), asked.priority(), nanosLeft);
    return start(model, request, asked, asked.first(), (int) asked.count(), sender);
  }

  /** Starts to make images [first, first + count) of a request that was admitted. */
  public Pending start(
      ServedVersion model,
      QueuedRequest request,
      ImageRequest asked,
      long first,
      int count,
      Executor sender)
      throws QueueFullException {
    ImageFormat format = asked.format();
    model.scheduler().requireRoom(count); // Before the latents are made, which costs more.
    CompletableFuture<Images> images =
        model
            .scheduler()
            .submit(
                request,
                asked.source().latents(first, count, model.latentSize()),
                ResponseEncoder.output(format),
                ResponseEncoder.isCheap(format) ? sender : encoders);
    return new Pending(
        images,
        images.thenApply(made -> ResponseEncoder.render(model, format, asked.columns(), first, made)));
  }

  /**
   * Starts to make the images of some latents.
   *
   * @param latents (n, latentSize), not to be changed any more
   * @param answerer as of {@link BatchScheduler#submit}
   */
  public CompletableFuture<Images> images(
      ServedVersion model,
      float[] latents,
      Output output,
      ImageRequest asked,
      long nanosLeft,
      Executor answerer)
      throws QueueFullException, TooLateException {
    QueuedRequest request = model.scheduler().admit(asked.count(), asked.priority(), nanosLeft);
    return model.scheduler().submit(request, latents, output, answerer);
  }

  /** What compresses pictures. */
  public Executor encoders() {
    return encoders;
  }

  /** Images in a chunk of a stream. */
  public int chunkSize(ImageRequest asked, ServedVersion model) {
    ImageShape shape = model.shape();
    int fit = ResponseEncoder.maxCount(asked.format(), asked.columns(), shape, MAX_CHUNK_BYTES);
    if (fit == 0) {
      throw RequestException.invalid(
          "format",
          "one image of %s as %s exceeds %d bytes; ask for another format"
              .formatted(shape, ResponseEncoder.name(asked.format()), MAX_CHUNK_BYTES));
    }
    // A short queue has room for others too.
    int share = Math.max(1, model.scheduler().policy().maxQueueImages() / 4);
    return Math.min(fit, Math.min(CHUNK_IMAGES, share));
  }

  /**
   * Checks that all images of a request fit into one answer.
   *
   * @param advice to a caller whose images do not
   * @return the most bytes that the answer takes
   * @throws RequestException they do not
   */
  public static long requireFits(ImageRequest asked, ServedVersion model, String advice) {
    int queue = model.scheduler().policy().maxQueueImages();
    if (asked.count() > queue || !ResponseEncoder.fits(asked, model.shape(), MAX_ANSWER_BYTES)) {
      int fit = ResponseEncoder.maxCount(asked.format(), asked.columns(), model.shape(), MAX_ANSWER_BYTES);
      throw RequestException.invalid(
          "count",
          "count %d exceeds %d images of %s as %s in one answer of at most %d bytes; %s"
              .formatted(
                  asked.count(),
                  Math.min(fit, queue),
                  model.shape(),
                  ResponseEncoder.name(asked.format()).toUpperCase(Locale.ROOT),
                  MAX_ANSWER_BYTES,
                  advice));
    }
    return ResponseEncoder.maxBytes(asked, model.shape(), (int) asked.count());
  }

  public static String streamAdvice(ImageFormat format) {
    return format == ImageFormat.IMAGE_FORMAT_SHEET
        ? "ask for fewer, or for PNG and use GenerateStream"
        : "use GenerateStream";
  }
}
