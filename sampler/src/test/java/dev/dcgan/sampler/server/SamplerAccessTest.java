package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.google.rpc.RetryInfo;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.SetServingVersionRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A sampler with tokens and limits for callers. It starts only if all it serves has a role. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SamplerAccessTest {

  private static final String ALICE = "token-of-alice";
  private static final String BOB = "token-of-bob";

  @TempDir private Path root;
  @TempDir private Path folder;
  private @Nullable SamplerServer sampler;
  private @Nullable ManagedChannel channel;

  @AfterEach
  void end() throws InterruptedException {
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @Test
  void roles_holdOverGrpc() throws Exception {
    start("alice generate " + hash(ALICE), "bob read " + hash(BOB));
    SamplerServiceBlockingStub alice = stub(ALICE);
    SamplerServiceBlockingStub bob = stub(BOB);
    assertThat(alice.generate(raw(3)).getPixels().isEmpty()).isFalse();
    assertThat(bob.listModels(ListModelsRequest.getDefaultInstance()).getModelsCount())
        .isEqualTo(1);
    assertThat(code(() -> bob.generate(raw(1)))).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(code(() -> stub("wrong").generate(raw(1)))).isEqualTo(Status.Code.UNAUTHENTICATED);
    assertThat(code(() -> alice.setServingVersion(SetServingVersionRequest.getDefaultInstance())))
        .isEqualTo(Status.Code.PERMISSION_DENIED);
  }

  @Test
  void roles_holdOverHttp_andABrowserIsAskedForAToken() throws Exception {
    start("alice generate " + hash(ALICE), "bob read " + hash(BOB));
    assertThat(get("/healthz", null).statusCode()).isEqualTo(200);
    HttpResponse<byte[]> asked = get("/", null);
    assertThat(asked.statusCode()).isEqualTo(401);
    assertThat(asked.headers().firstValue("WWW-Authenticate").orElse("")).startsWith("Basic ");
    String basic =
        Base64.getEncoder().encodeToString((":" + ALICE).getBytes(StandardCharsets.UTF_8));
    for (String path :
        List.of("/", "/gallery.js", "/v1/models", "/v1/images?seed=1", "/v1/interpolate")) {
      int code = get(path, "Basic " + basic).statusCode();
      assertThat(code).as(path).isNotIn(401, 403, 404);
      assertThat(get(path, null).statusCode()).as(path).isEqualTo(401);
    }
    assertThat(get("/metrics", "Bearer " + ALICE).statusCode()).isEqualTo(403);
    assertThat(get("/metrics", "Bearer " + BOB).statusCode()).isEqualTo(200);
    assertThat(get("/v1/images?seed=1", "Bearer " + BOB).statusCode()).isEqualTo(403);
  }

  @Test
  void imagesPerSecond_areLimitedForEachCaller() throws Exception {
    start(1, true, "alice generate " + hash(ALICE), "bob generate " + hash(BOB));
    assertThat(stub(ALICE).generate(raw(500)).getPixels().isEmpty()).isFalse();
    assertThatExceptionOfType(StatusRuntimeException.class)
        .isThrownBy(() -> stub(ALICE).generate(raw(1)))
        .satisfies(
            e -> {
              assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
              RetryInfo retry =
                  Objects.requireNonNull(StatusProto.fromThrowable(e))
                      .getDetails(0)
                      .unpack(RetryInfo.class);
              assertThat(retry.getRetryDelay().getSeconds()).isBetween(300L, 501L);
            });
    // Over the other protocol and another connection it is the same caller.
    HttpResponse<byte[]> refused = get("/v1/images?seed=1", "Bearer " + ALICE);
    assertThat(refused.statusCode()).isEqualTo(429);
    assertThat(refused.headers().firstValueAsLong("Retry-After").orElse(0)).isBetween(300L, 501L);
    assertThat(stub(BOB).generate(raw(1)).getPixels().isEmpty()).isFalse();
  }

  @Test
  void latents_countAsImages() throws Exception {
    start(1, true);
    GetLatentsRequest request = GetLatentsRequest.newBuilder().setCount(500).build();
    assertThat(stub("").getLatents(request).getLatentsCount()).isPositive();
    assertThatExceptionOfType(StatusRuntimeException.class)
        .isThrownBy(() -> stub("").getLatents(request))
        .satisfies(
            e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED));
  }

  @Test
  void aStream_isSlowedDown_andComplete() throws Exception {
    start(2000, true);
    Iterator<GenerateResponse> responses = stub("").generateStream(raw(5000));
    int bytes = 0;
    while (responses.hasNext()) {
      bytes += responses.next().getPixels().size();
    }
    assertThat(bytes).isEqualTo(5000 * 14 * 14);
  }

  @Test
  void httpImages_canBeSwitchedOff() throws Exception {
    start(0, false);
    assertThat(get("/v1/images?seed=1", null).statusCode()).isEqualTo(404);
    assertThat(get("/", null).statusCode()).isEqualTo(404);
    assertThat(get("/v1/models", null).statusCode()).isEqualTo(200);
    assertThat(stub("").generate(raw(1)).getPixels().isEmpty()).isFalse();
  }

  private void start(String... tokens) throws Exception {
    start(0, true, tokens);
  }

  private void start(int imagesPerSecond, boolean httpImages, String... tokens) throws Exception {
    Path file = null;
    if (tokens.length > 0) {
      file = Files.write(folder.resolve("tokens"), List.of(tokens));
    }
    ModelRepository repository = new ModelRepository(root);
    TestModels.publish(repository, "digits", 1, 1);
    SamplerServer started =
        SamplerServer.start(
            new SamplerServer.Config(
                new ModelWatcherConfig(
                    repository, List.of(), Duration.ofMillis(10), 1, 0, 1, false, false),
                0,
                0,
                Duration.ZERO,
                null,
                new RuntimeSettings(Provider.CPU, 1, false, 0),
                "auto",
                1,
                new BatchingPolicy(64, Duration.ofMillis(2), 8192),
                Duration.ZERO,
                GrpcLimits.DEFAULT,
                Set.of(),
                new AccessConfig(InetAddress.getLoopbackAddress(), null, file, true, 0),
                imagesPerSecond,
                httpImages),
            () -> {});
    sampler = started;
    channel =
        Grpc.newChannelBuilder("localhost:" + started.port(), InsecureChannelCredentials.create())
            .build();
    while (get("/readyz", null).statusCode() != 200) {
      Thread.onSpinWait();
    }
  }

  private SamplerServiceBlockingStub stub(String token) {
    Metadata headers = new Metadata();
    if (!token.isEmpty()) {
      headers.put(
          Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    }
    return SamplerServiceGrpc.newBlockingStub(Objects.requireNonNull(channel))
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private static Status.Code code(Runnable call) {
    try {
      call.run();
      return Status.Code.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode();
    }
  }

  private HttpResponse<byte[]> get(String path, @Nullable String authorization) throws Exception {
    int port = Objects.requireNonNull(sampler).httpPort();
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://localhost:%d%s".formatted(port, path)));
    if (authorization != null) {
      request.header("Authorization", authorization);
    }
    return HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofByteArray());
  }

  private static GenerateRequest raw(int count) {
    return GenerateRequest.newBuilder()
        .setSeed(5)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }

  private static String hash(String token) throws Exception {
    byte[] hash =
        MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    return "sha256:" + HexFormat.of().formatHex(hash);
  }
}
