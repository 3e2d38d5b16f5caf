package dev.dcgan.e2e;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Clients that call until they are closed: unary calls and streams of many sizes and formats, and
 * invalid calls. Their rate rises and falls. Each client has its own thread.
 */
final class Callers implements AutoCloseable {

  private static final int[] COUNTS = {1, 1, 1, 2, 4, 8, 1, 16, 3, 64, 1, 25};
  private static final List<ImageFormat> FORMATS =
      List.of(
          ImageFormat.IMAGE_FORMAT_RAW,
          ImageFormat.IMAGE_FORMAT_PNG,
          ImageFormat.IMAGE_FORMAT_RAW,
          ImageFormat.IMAGE_FORMAT_SHEET,
          ImageFormat.IMAGE_FORMAT_FLOAT);

  private final ManagedChannel channel;
  private final SamplerServiceBlockingStub stub;
  private final URI imageUrl;
  private final HttpClient http = HttpClient.newHttpClient();
  private final ExecutorService threads = Executors.newFixedThreadPool(5);
  private final long start = System.nanoTime();

  // Mutable state
  @GuardedBy("this") private final Set<Status.Code> codes = EnumSet.noneOf(Status.Code.class);

  private volatile boolean closed;

  private interface Call {
    void make(int number) throws IOException, InterruptedException;
  }

  private Callers(int port, int httpPort) {
    channel =
        Grpc.newChannelBuilder("localhost:" + port, InsecureChannelCredentials.create()).build();
    stub = SamplerServiceGrpc.newBlockingStub(channel);
    imageUrl = URI.create("http://localhost:" + httpPort + "/v1/images?seed=");
  }

  static Callers on(int port, int httpPort) {
    Callers callers = new Callers(port, httpPort);
    for (int i = 0; i < 3; i++) {
      int caller = i;
      callers.repeat(20, number -> callers.unary(caller, number));
    }
    callers.repeat(700, callers::stream);
    callers.repeat(150, callers::rare);
    return callers;
  }

  /** Whether calls have ended with OK and with each code of an invalid call. */
  synchronized boolean hasAllOutcomes() {
    return codes.containsAll(
        List.of(
            Status.Code.OK,
            Status.Code.INVALID_ARGUMENT,
            Status.Code.NOT_FOUND,
            Status.Code.DEADLINE_EXCEEDED));
  }

  @Override
  public void close() {
    closed = true;
    threads.shutdownNow();
    channel.shutdownNow();
  }

  private void repeat(long pauseMillis, Call call) {
    threads.execute(
        () -> {
          for (int number = 0; !closed; number++) {
            Status.Code code = Status.Code.OK;
            try {
              call.make(number);
            } catch (StatusRuntimeException e) {
              code = e.getStatus().getCode();
            } catch (IOException | InterruptedException e) {
              break; // The client was closed.
            }
            synchronized (this) {
              codes.add(code);
            }
            try {
              TimeUnit.MILLISECONDS.sleep((long) (pauseMillis / intensity()));
            } catch (InterruptedException e) {
              break;
            }
          }
        });
  }

  /** A factor between 0.15 and 1, with a period of 90 seconds. */
  private double intensity() {
    double seconds = (System.nanoTime() - start) / 1e9;
    double wave = 0.5 - 0.5 * Math.cos(2 * Math.PI * seconds / 90);
    return 0.15 + 0.85 * wave * wave;
  }

  private void unary(int caller, int number) {
    stub.withDeadlineAfter(10, TimeUnit.SECONDS)
        .generate(
            GenerateRequest.newBuilder()
                .setSeed(caller)
                .setFirstIndex(number)
                .setCount(COUNTS[(number + 5 * caller) % COUNTS.length])
                .setFormat(FORMATS.get(number % FORMATS.size()))
                .build());
  }

  private void stream(int number) {
    stub.generateStream(
            GenerateRequest.newBuilder()
                .setSeed(number)
                .setCount(1500)
                .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
                .build())
        .forEachRemaining(chunk -> {});
  }

  /** Calls that are made rarely; some are invalid. */
  private void rare(int number) throws IOException, InterruptedException {
    switch (number % 6) {
      case 0 -> stub.generate(GenerateRequest.newBuilder().setCount(1_000_000).build());
      case 1 -> stub.generate(GenerateRequest.newBuilder().setModel("nobody").setCount(1).build());
      case 2 ->
          stub.withDeadlineAfter(2, TimeUnit.MILLISECONDS)
              .generate(
                  GenerateRequest.newBuilder()
                      .setCount(2000)
                      .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
                      .build());
      case 3 -> {
        List<Float> latents =
            stub.getLatents(GetLatentsRequest.newBuilder().setSeed(number).setCount(4).build())
                .getLatentsList();
        stub.decode(DecodeRequest.newBuilder().addAllLatents(latents).build());
      }
      case 4 ->
          http.send(
              HttpRequest.newBuilder(URI.create(imageUrl + "" + number)).build(),
              HttpResponse.BodyHandlers.discarding());
      default ->
          http.send(
              HttpRequest.newBuilder(URI.create(imageUrl + "none")).build(),
              HttpResponse.BodyHandlers.discarding());
    }
  }
}
