package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Pixels;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.LatentSource;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.InferenceGrpcService;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ServingState;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.ServedModel;
import dev.dcgan.v1.SetServingVersionRequest;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferRequest.InferInputTensor;
import dev.dcgan.v1.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.dcgan.v1.inference.ModelInferResponse;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Image i of a seed depends on (model version, seed, i) alone, byte for byte: however it is asked
 * for, whoever else is there, and however the sampler was started.
 */
class ExactnessTest {

  private static final int LATENT = TestModels.LATENT;
  private static final int SIDE = 14;
  private static final ImageShape SHAPE = new ImageShape(SIDE, SIDE, 3);
  private static final int SIZE = SHAPE.values();
  private static final long SEED = 5;
  private static final int N = 70;

  @TempDir private static Path root;

  private static final ExecutorService callers = Executors.newFixedThreadPool(8);
  private static final ExecutorService encoders = Executors.newFixedThreadPool(2);
  private static ModelBundle bundle;
  private static ByteString pixels = ByteString.EMPTY;
  private static ByteString floats = ByteString.EMPTY;

  /** One image a run, in one session with one thread: the reference. */
  @BeforeAll
  static void makeTheReference() throws IOException {
    bundle = TestModels.publish(new ModelRepository(root), "wide", TestModels.wideWeights(3, 1));
    try (Network network = open(bundle, 1, 1, 1).get(0)) {
      for (int i = 0; i < N; i++) {
        float[] z = Latents.of(SEED, i, LATENT);
        pixels = pixels.concat(ByteString.copyFrom(network.generate(z, Output.PIXELS).bytes()));
        floats =
            floats.concat(
                ByteString.copyFrom(
                    ImageEncoder.channelsLast(SHAPE, network.generate(z, Output.FLOATS).bytes())));
      }
    }
  }

  @AfterAll
  static void end() {
    callers.shutdownNow();
    encoders.shutdownNow();
  }

  static Stream<Arguments> configurations() {
    return Stream.of(1, 3, 8, 64)
        .flatMap(
            maxBatch ->
                Stream.of(1, 2, 3)
                    .flatMap(
                        sessions ->
                            Stream.of(1, 2)
                                .map(threads -> Arguments.of(maxBatch, sessions, threads))));
  }

  @ParameterizedTest(name = "max-batch {0}, sessions {1}, intra-op-threads {2}")
  @MethodSource("configurations")
  void images_areTheSame_inEveryPiece_amongNeighbours(int maxBatch, int sessions, int threads)
      throws Exception {
    List<Network> networks = open(bundle, sessions, threads, maxBatch);
    ModelRegistry models = EmptyVersionSource.models();
    models.serve(
        ServedVersion.start(
            bundle,
            Provider.CPU,
            networks,
            GatedNetwork.TIMES, // So batches are as large as they may be.
            new BatchingPolicy(maxBatch, Duration.ofMillis(1), 8192),
            new QueueWatch()));
    PrometheusRegistry registry = new PrometheusRegistry();
    SamplerMetrics metrics = new SamplerMetrics(registry);
    ResponseBudget budget = new ResponseBudget(1L << 30);
    ImageService images = new ImageService(models, budget, encoders);
    ModelService status = new ModelService(models, budget);
    ManagedChannel channel;
    try (GrpcServer server =
        GrpcServer.start(
            new GrpcServer.Config(0, false, Duration.ZERO, null),
            registry,
            new ServingState(),
            new SamplerGrpcService(images, status, metrics),
            List.of(new InferenceGrpcService(images, status, metrics, () -> true, () -> true)))) {
      channel = connect(server.port());
      SamplerServiceBlockingStub stub = SamplerServiceGrpc.newBlockingStub(channel);
      Random random = new Random(maxBatch * 100L + sessions * 10L + threads);
      List<Future<?>> calls = new ArrayList<>();
      for (int round = 0; round < 3; round++) {
        for (int first = 0; first < N; ) {
          Piece piece = Piece.random(first, Math.min(N - first, 1 + random.nextInt(30)), random);
          calls.add(callers.submit(() -> piece.check(channel)));
          GenerateRequest neighbour =
              raw(1000 + random.nextInt(1000), random.nextInt(1000), 1 + random.nextInt(20));
          calls.add(callers.submit(() -> stub.generate(neighbour)));
          first += piece.count;
        }
      }
      for (Future<?> call : calls) {
        call.get(60, TimeUnit.SECONDS);
      }
      assertThat(stub.generate(raw(SEED, 0, N)).getPixels()).isEqualTo(pixels);
      channel.shutdownNow();
    }
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
  }

  @Test
  void pixelsByTheLaw_areTheModelsOwn_forManyImages() throws IOException {
    int n = 500; // 294,000 values
    try (Network network = open(bundle, 1, 1, n).get(0)) {
      float[] z = LatentSource.ofSeed(77, 2).latents(0, n, LATENT);
      float[] images = new float[n * SIZE];
      ByteBuffer.wrap(network.generate(z, Output.FLOATS).bytes())
          .order(ByteOrder.LITTLE_ENDIAN)
          .asFloatBuffer()
          .get(images);
      assertThat(Pixels.of(images, SHAPE)).isEqualTo(network.generate(z, Output.PIXELS).bytes());
    }
  }

  @Test
  void images_areTheSame_afterRestarts_andAfterEachSwap() throws Exception {
    ModelRepository repository = new ModelRepository(root.resolve("swaps"));
    TestModels.publish(repository, "wide", TestModels.wideWeights(3, 1));
    List<ByteString> ofVersion = List.of(ByteString.EMPTY, pixels, imagesOfSecondVersion());
    for (int start = 0; start < 3; start++) {
      SamplerServer sampler =
          SamplerServer.start(config(repository, 1 + 7 * start, 1 + start), () -> {});
      ManagedChannel channel = connect(sampler.port());
      try {
        SamplerServiceBlockingStub stub = SamplerServiceGrpc.newBlockingStub(channel);
        awaitVersion(stub, start == 0 ? 1 : 2);
        CompletableFuture<Void> enough = new CompletableFuture<>();
        Future<Integer> background = callers.submit(() -> follow(stub, ofVersion, enough));
        if (start == 0) {
          assertThat(stub.generate(raw(SEED, 0, N)).getPixels()).isEqualTo(pixels);
          TestModels.publish(repository, "wide", TestModels.wideWeights(3, 2));
          awaitVersion(stub, 2);
        }
        for (int swap = 0; swap < 3; swap++) {
          assertThat(setServing(stub, 1).getServingVersion()).isEqualTo(1);
          GenerateResponse back = stub.generate(raw(SEED, 0, N));
          assertThat(back.getModel().getVersion()).isEqualTo(1);
          assertThat(back.getPixels()).isEqualTo(pixels);
          assertThat(setServing(stub, 0).getServingVersion()).isEqualTo(2);
          GenerateResponse forth = stub.generate(raw(SEED, 0, N));
          assertThat(forth.getModel().getVersion()).isEqualTo(2);
          assertThat(forth.getPixels()).isEqualTo(ofVersion.get(2));
        }
        enough.complete(null);
        assertThat(background.get(60, TimeUnit.SECONDS)).isPositive();
      } finally {
        channel.shutdownNow();
        sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
      }
    }
  }

  /** Calls until it is enough; whichever version answers, its images are its own. */
  private static int follow(
      SamplerServiceBlockingStub stub, List<ByteString> ofVersion, CompletableFuture<Void> enough) {
    int calls = 0;
    while (!enough.isDone()) {
      int first = calls % (N - 9);
      GenerateResponse answer = stub.generate(raw(SEED, first, 9));
      assertThat(answer.getPixels())
          .isEqualTo(
              ofVersion
                  .get((int) answer.getModel().getVersion())
                  .substring(first * SIZE, (first + 9) * SIZE));
      calls++;
    }
    return calls;
  }

  private static ByteString imagesOfSecondVersion() throws IOException {
    ModelBundle second =
        TestModels.publish(
            new ModelRepository(root.resolve("second")), "wide", TestModels.wideWeights(3, 2));
    try (Network network = open(second, 1, 1, 1).get(0)) {
      ByteString all = ByteString.EMPTY;
      for (int i = 0; i < N; i++) {
        all =
            all.concat(
                ByteString.copyFrom(
                    network.generate(Latents.of(SEED, i, LATENT), Output.PIXELS).bytes()));
      }
      return all;
    }
  }

  /** How some images are asked for. */
  private enum Way {
    RAW,
    PNG,
    FLOAT,
    SHEET,
    STREAM,
    STREAM_OF_PNG,
    DECODE,
    INFER_BOTH,
    INFER_PIXELS
  }

  private static final List<Way> WAYS = List.of(Way.values());

  private record Piece(int first, int count, Way way, int columns, Priority priority) {

    static Piece random(int first, int count, Random random) {
      return new Piece(
          first,
          count,
          WAYS.get(random.nextInt(WAYS.size())),
          1 + random.nextInt(7),
          Priority.forNumber(random.nextInt(4)));
    }

    Void check(ManagedChannel channel) throws IOException {
      assertThat(get(channel)).as(toString()).isEqualTo(slice(pixels, 1));
      return null;
    }

    /** The images as pixels, from whatever they came as. */
    private ByteString get(ManagedChannel channel) throws IOException {
      SamplerServiceBlockingStub stub = SamplerServiceGrpc.newBlockingStub(channel);
      return switch (way) {
        case RAW -> stub.generate(request(ImageFormat.IMAGE_FORMAT_RAW)).getPixels();
        case PNG -> ofPngs(stub.generate(request(ImageFormat.IMAGE_FORMAT_PNG)).getPngList());
        case FLOAT -> {
          ByteString got = stub.generate(request(ImageFormat.IMAGE_FORMAT_FLOAT)).getFloats();
          assertThat(got).as(toString()).isEqualTo(slice(floats, 4));
          yield slice(pixels, 1);
        }
        case SHEET ->
            TestImages.ofSheet(
                stub.generate(request(ImageFormat.IMAGE_FORMAT_SHEET)).getSheet(),
                SIDE,
                count,
                columns);
        case STREAM -> {
          ByteString all = ByteString.EMPTY;
          Iterator<GenerateResponse> answers =
              stub.generateStream(request(ImageFormat.IMAGE_FORMAT_RAW));
          while (answers.hasNext()) {
            all = all.concat(answers.next().getPixels());
          }
          yield all;
        }
        case STREAM_OF_PNG -> {
          List<ByteString> pngs = new ArrayList<>();
          stub.generateStream(request(ImageFormat.IMAGE_FORMAT_PNG))
              .forEachRemaining(answer -> pngs.addAll(answer.getPngList()));
          yield ofPngs(pngs);
        }
        case DECODE ->
            stub.decode(
                    DecodeRequest.newBuilder()
                        .addAllLatents(
                            stub.getLatents(
                                    GetLatentsRequest.newBuilder()
                                        .setSeed(SEED)
                                        .setFirstIndex(first)
                                        .setCount(count)
                                        .build())
                                .getLatentsList())
                        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
                        .setPriority(priority)
                        .build())
                .getPixels();
        case INFER_BOTH -> {
          ModelInferResponse both = infer(channel, "image", "pixels");
          assertThat(ImageEncoder.channelsLast(SHAPE, both.getRawOutputContents(0).toByteArray()))
              .as(toString())
              .isEqualTo(slice(floats, 4).toByteArray());
          yield both.getRawOutputContents(1);
        }
        case INFER_PIXELS -> infer(channel, "pixels").getRawOutputContents(0);
      };
    }

    private GenerateRequest request(ImageFormat format) {
      return raw(SEED, first, count).toBuilder()
          .setFormat(format)
          .setColumns(columns)
          .setPriority(priority)
          .build();
    }

    private ModelInferResponse infer(ManagedChannel channel, String... outputs) {
      float[] z = LatentSource.ofSeed(SEED, 1).latents(first, count, LATENT);
      ByteBuffer bytes = ByteBuffer.allocate(z.length * 4).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(z);
      ModelInferRequest.Builder asked =
          ModelInferRequest.newBuilder()
              .addInputs(
                  InferInputTensor.newBuilder()
                      .setName("z")
                      .setDatatype("FP32")
                      .addShape(count)
                      .addShape(LATENT))
              .addRawInputContents(ByteString.copyFrom(bytes));
      for (String output : outputs) {
        asked.addOutputs(InferRequestedOutputTensor.newBuilder().setName(output));
      }
      return GRPCInferenceServiceGrpc.newBlockingStub(channel).modelInfer(asked.build());
    }

    private ByteString slice(ByteString all, int valueBytes) {
      return all.substring(first * SIZE * valueBytes, (first + count) * SIZE * valueBytes);
    }

    private static ByteString ofPngs(List<ByteString> pngs) throws IOException {
      List<ByteString> decoded = new ArrayList<>();
      for (ByteString png : pngs) {
        decoded.add(TestImages.ofPng(png));
      }
      return ByteString.copyFrom(decoded);
    }
  }

  private static List<Network> open(ModelBundle bundle, int sessions, int threads, int maxBatch)
      throws IOException {
    return OnnxModel.open(
        bundle, new RuntimeSettings(Provider.CPU, threads, false, 0), maxBatch, sessions);
  }

  private static SamplerServer.Config config(
      ModelRepository repository, int maxBatch, int sessions) {
    return new SamplerServer.Config(
        new ModelWatcherConfig(
            repository, List.of(), Duration.ofMillis(10), 2, 0, sessions, true, false),
        0,
        0,
        Duration.ZERO,
        null,
        new RuntimeSettings(Provider.CPU, 1 + sessions % 2, false, 0),
        "cpu",
        sessions,
        new BatchingPolicy(maxBatch, Duration.ofMillis(1), 8192),
        Duration.ZERO);
  }

  private static ManagedChannel connect(int port) {
    return Grpc.newChannelBuilder("127.0.0.1:" + port, InsecureChannelCredentials.create()).build();
  }

  private static ServedModel setServing(SamplerServiceBlockingStub stub, long version) {
    return stub.setServingVersion(
        SetServingVersionRequest.newBuilder().setVersion(version).build());
  }

  private static void awaitVersion(SamplerServiceBlockingStub stub, long version) {
    long start = System.nanoTime();
    while (version(stub) != version) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  /** 0 while there is none. */
  private static long version(SamplerServiceBlockingStub stub) {
    try {
      return stub.generate(raw(1, 0, 1)).getModel().getVersion();
    } catch (StatusRuntimeException e) {
      assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
      return 0;
    }
  }

  private static GenerateRequest raw(long seed, long first, int count) {
    return GenerateRequest.newBuilder()
        .setSeed(seed)
        .setFirstIndex(first)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }
}
