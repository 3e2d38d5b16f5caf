package dev.dcgan.sampler.http;

import com.google.protobuf.ByteString;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.Pending;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseEncoder;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.sampler.server.SamplerMetrics;
import dev.dcgan.server.HttpCall;
import dev.dcgan.server.HttpPage;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Images over HTTP, for browsers and caches: what {@code Generate} answers, as one body.
 * Thread-safe.
 *
 * <p>Every answer has a strong {@link ImageTag}, and a caller that has the images already hears so
 * before the network runs. They never change where the URL names model and version, and the version
 * has a manifest: then caches may keep them for good. Otherwise another version may take over, so
 * that caches must ask again.
 *
 * <p>A request waits on its thread. The JDK's server does not tell of callers that go away
 * meanwhile: their images are made nonetheless, or leave the queue when the longest wait is over.
 */
public final class ImageHandler implements HttpPage {

  public static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

  private static final String FOR_GOOD = "public, max-age=31536000, immutable";
  private static final String ASK_AGAIN = "no-cache";
  private static final String FEWER = "ask for fewer, and for those after them with first";

  private final ModelRegistry models;
  private final ImageService maker;
  private final SamplerMetrics metrics;
  private final Duration longestWait;

  /**
   * What a caller gets.
   *
   * @param images null: the headers are all
   */
  private record Answer(int code, Map<String, String> headers, @Nullable GenerateResponse images) {}

  public ImageHandler(ModelRegistry models, ImageService maker, SamplerMetrics metrics, Duration longestWait) {
    this.models = models;
    this.maker = maker;
    this.metrics = metrics;
    this.longestWait = longestWait;
  }

  @Override
  public void serve(HttpCall call) throws IOException {
    ImageFormat format;
    Answer answer;
    try {
      GenerateRequest asked = ImageUrl.parse(call.query());
      ImageRequest wanted = ImageRequest.of(asked);
      format = wanted.format();
      answer = answer(call, asked, wanted);
    } catch (QueueFullException | TooLateException | NotServedException | RuntimeException e) {
      refuse(call, RequestException.of(e));
      return;
    }
    answer.headers.forEach(call::header);
    if (answer.images == null) {
      call.sendHeaders(answer.code);
      return;
    }
    call.send(answer.code, body(format, answer.images).toByteArray());
    metrics.sent(format, answer.images);
  }

  private Answer answer(HttpCall call, GenerateRequest asked, ImageRequest wanted)
      throws NotServedException, QueueFullException, TooLateException {
    long start = System.nanoTime();
    ServedVersion model = acquire(asked, start);
    try {
      ImageService.requireFits(wanted, model, FEWER);
      String url = ImageUrl.canonical(model, asked, wanted);
      ImageTag tag = ImageTag.of(model, url);
      Map<String, String> headers = new LinkedHashMap<>();
      headers.put("ETag", tag.text());
      headers.put("Cache-Control", isForGood(asked, model) ? FOR_GOOD : ASK_AGAIN);
      headers.put("Content-Location", url);
      if (tag.isAmong(call.headers("If-None-Match"))) {
        return new Answer(304, headers, null);
      }
      headers.put("Content-Type", type(wanted.format()));
      headers.put("X-Model", model.toString());
      headers.put("X-Provider", model.provider().toString());
      headers.put("X-Image-Shape", model.shape().toString());
      headers.put("X-Image-First", Long.toString(wanted.first()));
      headers.put("X-Image-Count", Long.toString(wanted.count()));
      return new Answer(200, headers, call.isHead() ? null : make(model, wanted, start));
    } finally {
      model.release();
    }
  }

  private ServedVersion acquire(GenerateRequest asked, long start) throws NotServedException {
    CompletableFuture<ServedVersion> acquired = models.acquire(asked.getModel(), asked.getVersion());
    try {
      return await(acquired, start);
    } catch (RequestException e) {
      // It may have come just after the wait was over.
      if (!acquired.cancel(false) && !acquired.isCompletedExceptionally()) {
        acquired.join().release();
      }
      throw e;
    }
  }

  private GenerateResponse make(ServedVersion model, ImageRequest wanted, long start)
      throws QueueFullException, TooLateException {
    Pending pending = maker.answer(model, wanted, nanosLeft(start), maker.encoders());
    try {
      return await(pending.answer(), start);
    } finally {
      pending.cancel(); // Nothing, where it is done.
    }
  }

  private <T> T await(Future<T> future, long start) {
    try {
      return future.get(nanosLeft(start), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw RequestException.of(e.getCause() == null ? e : e.getCause());
    } catch (TimeoutException e) {
      throw RequestException.of(
          RequestException.Kind.TOO_LATE,
          "no images within %d ms; ask for fewer, or come back later"
              .formatted(longestWait.toMillis()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RequestException.of(RequestException.Kind.UNAVAILABLE, "this replica ends now; ask another one");
    }
  }

  private long nanosLeft(long start) {
    return longestWait.toNanos() - (System.nanoTime() - start);
  }

  /** Whether the URL names all that the images depend on, by names that are never used again. */
  private static boolean isForGood(GenerateRequest asked, ServedVersion model) {
    return !asked.getModel().isEmpty() && asked.getVersion() != 0 && !model.isUnverified();
  }

  private static String type(ImageFormat format) {
    return ResponseEncoder.isCheap(format) ? "application/octet-stream" : "image/png";
  }

  private static ByteString body(ImageFormat format, GenerateResponse made) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> made.getPixels();
      case IMAGE_FORMAT_FLOAT -> made.getFloats();
      case IMAGE_FORMAT_SHEET -> made.getSheet();
      default -> made.getPng(0);
    };
  }

  private static void refuse(HttpCall call, RequestException refusal) throws IOException {
    String message = String.valueOf(refusal.getMessage());
    switch (refusal.kind()) {
      case INVALID -> call.text(400, named(refusal.field(), message));
      case NOT_FOUND -> call.text(404, message);
      case OVERLOADED -> later(call, 429, refusal.retryAfter(), message);
      case TOO_LATE -> call.text(504, message);
      case UNAVAILABLE, CANCELLED -> later(call, 503, refusal.retryAfter(), message);
      case WRONG_STATE -> call.text(409, message);
      case FORBIDDEN -> call.text(403, message);
      case FAULT -> call.text(500, message);
    }
  }

  /** In whole seconds, one or more. */
  private static void later(HttpCall call, int code, Duration retryAfter, String message)
      throws IOException {
    long seconds = retryAfter.plusNanos(TimeUnit.SECONDS.toNanos(1) - 1).toSeconds();
    call.header("Retry-After", Long.toString(Math.max(1, seconds)));
    call.text(code, message);
  }

  /** Begins with the parameter, by its name here. */
  private static String named(String field, String message) {
    if (field.equals("first_index")) {
      return message.replace(field, "first");
    }
    return message.startsWith(field) ? message : field + ": " + message;
  }
}
