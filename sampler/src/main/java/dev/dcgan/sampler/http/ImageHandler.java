package dev.dcgan.sampler.http;

import com.google.protobuf.ByteString;
import dev.dcgan.sampler.core.GenerateEncoding;
import dev.dcgan.sampler.core.ImageListener;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ImageResult;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ImageService.Reserved;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.core.PendingResponse;
import dev.dcgan.sampler.core.RequestContext;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.CallTrace;
import dev.dcgan.server.HttpCall;
import dev.dcgan.server.HttpPage;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * Images over HTTP, for browsers and caches: what {@code Generate} responds, as one body; also
 * images between others (see {@link DerivedUrl}). Thread-safe.
 *
 * <p>Every response has a strong {@link ImageTag}, and a client that has the images already gets
 * 304 before the network runs. Images never change if the URL names model and version, and the
 * version has a manifest: then caches may keep them for ever. Otherwise another version may take
 * over, so caches must revalidate.
 *
 * <p>A request waits on its thread until its images are made; sending them needs no thread. If its
 * client disconnects, the images leave the queue and the thread is free.
 */
public final class ImageHandler implements HttpPage {

  public static final String PATH = ImageUrl.PATH;

  static final Duration MAX_WAIT = Duration.ofSeconds(60);

  private static final String IMMUTABLE = "public, max-age=31536000, immutable";
  private static final String REVALIDATE = "no-cache";
  private static final GenerateEncoding ENCODING =
      new GenerateEncoding(format -> "request fewer, and those after them with first");

  private final Function<String, ImageQuery> parser;
  private final ImageService images;
  private final ImageListener listener;
  private final Executor workers;
  private final Duration maxWait;

  /**
   * The handler of {@link #PATH}.
   *
   * @param workers encode the responses
   */
  public ImageHandler(
      ImageService images, ImageListener listener, Executor workers, Duration maxWait) {
    this(ImageUrl::query, images, listener, workers, maxWait);
  }

  private ImageHandler(
      Function<String, ImageQuery> parser,
      ImageService images,
      ImageListener listener,
      Executor workers,
      Duration maxWait) {
    this.parser = parser;
    this.images = images;
    this.listener = listener;
    this.workers = workers;
    this.maxWait = maxWait;
  }

  /** The handlers of all images, by path. */
  public static Map<String, HttpPage> pages(
      ImageService images, ImageListener listener, Executor workers) {
    return Map.of(
        PATH,
        new ImageHandler(images, listener, workers, MAX_WAIT),
        DerivedUrl.INTERPOLATE,
        new ImageHandler(DerivedUrl::interpolate, images, listener, workers, MAX_WAIT),
        DerivedUrl.ARITHMETIC,
        new ImageHandler(DerivedUrl::arithmetic, images, listener, workers, MAX_WAIT));
  }

  @Override
  public void serve(HttpCall call) throws IOException {
    try {
      respond(call);
    } catch (NotServedException | RequestException e) {
      if (call.isConnected()) {
        HttpErrors.refuse(call, RequestException.of(e));
      }
    }
  }

  private void respond(HttpCall call) throws IOException, NotServedException {
    long deadline = System.nanoTime() + maxWait.toNanos();
    ImageQuery query = parser.apply(call.query());
    ServedVersion version = acquire(call, query, deadline);
    try {
      ImageRequest request = query.request(version);
      ENCODING.requireFits(request, version);
      if (!Accept.allows(call.headers("Accept"), type(request))) {
        call.text(406, "the images are %s, which Accept excludes".formatted(type(request)));
        return;
      }
      String url = query.canonical(version, request);
      ImageTag tag = ImageTag.of(version, url);
      if (!tag.isWanted(call.headers("If-Match"))) {
        call.text(
            412, "the images have the ETag %s, which If-Match excludes".formatted(tag.text()));
      } else if (tag.isAmong(call.headers("If-None-Match"))) {
        identify(call, tag, url, query, version);
        call.sendHeaders(304);
      } else if (call.isHead()) {
        identify(call, tag, url, query, version);
        describe(call, version, request);
        call.sendHeaders(200);
      } else {
        PendingResponse<Reserved<ImageResult<GenerateResponse>>> pending =
            images.generate(
                new RequestContext(
                    call.connection(),
                    AccessControl.callerKey(),
                    true,
                    deadline,
                    workers,
                    CallTrace.current()),
                version,
                request,
                ENCODING);
        Runnable end =
            () -> {
              pending.cancel();
              var unused = pending.future().thenAccept(reserved -> reserved.memory().close());
            };
        call.onDisconnect(end);
        try {
          ImageResult<GenerateResponse> result = await(pending.future(), deadline).value();
          identify(call, tag, url, query, version);
          describe(call, version, request);
          ByteString body = body(request.format(), result.response());
          call.send(200, body.size(), body::writeTo, end);
          listener.sent(result);
        } catch (IOException | RuntimeException | Error e) {
          end.run();
          throw e;
        }
      }
    } finally {
      version.release();
    }
  }

  private ServedVersion acquire(HttpCall call, ImageQuery query, long deadline)
      throws NotServedException {
    CompletableFuture<ServedVersion> acquired = images.acquire(query.model());
    call.onDisconnect(() -> acquired.cancel(false));
    try {
      return await(acquired, deadline);
    } catch (RequestException e) {
      // It may have completed just after the wait was over.
      if (!acquired.cancel(false) && !acquired.isCompletedExceptionally()) {
        acquired.join().release();
      }
      throw e;
    }
  }

  private static void identify(
      HttpCall call, ImageTag tag, String url, ImageQuery query, ServedVersion version) {
    call.header("ETag", tag.text());
    call.header("Cache-Control", isImmutable(query, version) ? IMMUTABLE : REVALIDATE);
    call.header("Content-Location", url);
  }

  private static void describe(HttpCall call, ServedVersion version, ImageRequest request) {
    call.header("Content-Type", type(request));
    call.header("X-Model", version.toString());
    call.header("X-Provider", version.provider().toString());
    call.header("X-Image-Shape", version.shape().toString());
    call.header("X-Image-First", Long.toString(request.first()));
    call.header("X-Image-Count", Long.toString(request.count()));
  }

  private <T> T await(Future<T> future, long deadline) {
    try {
      return future.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      throw RequestException.of(e.getCause() == null ? e : e.getCause());
    } catch (CancellationException e) {
      throw RequestException.of(e);
    } catch (TimeoutException e) {
      throw RequestException.of(
          RequestException.Code.TOO_LATE,
          "no images within %d ms; request fewer, or try again later"
              .formatted(maxWait.toMillis()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw RequestException.of(
          RequestException.Code.UNAVAILABLE, "this replica is shutting down; use another one");
    }
  }

  /** Whether the URL names all that the images depend on, by names that are never used again. */
  private static boolean isImmutable(ImageQuery query, ServedVersion version) {
    ModelRef model = query.model();
    return !model.name().isEmpty() && model.version() != 0 && !version.isUnverified();
  }

  private static String type(ImageRequest request) {
    return ENCODING.isCheap(request) ? "application/octet-stream" : "image/png";
  }

  private static ByteString body(ImageFormat format, GenerateResponse response) {
    return switch (format) {
      case IMAGE_FORMAT_RAW -> response.getPixels();
      case IMAGE_FORMAT_FLOAT -> response.getFloats();
      case IMAGE_FORMAT_SHEET -> response.getSheet();
      default -> response.getPng(0);
    };
  }
}
