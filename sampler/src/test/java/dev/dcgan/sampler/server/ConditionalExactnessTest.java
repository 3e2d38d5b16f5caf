package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.LatentSource;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.InferenceGrpcService;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.LatencyProfile;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ServingState;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferRequest.InferInputTensor;
import dev.dcgan.v1.inference.ModelInferRequest.InferRequestedOutputTensor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Image i of a seed depends on (model version, seed, i, requested labels) alone, byte for byte,
 * among neighbours with other labels and however the sampler was started.
 */
class ConditionalExactnessTest {

  private static final int LATENT = ConditionalModels.LATENT;
  private static final int SIZE = 14 * 14 * 3;
  private static final long SEED = 5;
  private static final int N = 70;
  private static final List<List<String>> REQUESTED =
      List.of(List.of(), List.of("dog"), List.of("2", "cat", "cat"));

  @TempDir private static Path root;

  private static final ExecutorService callers = Executors.newFixedThreadPool(8);
  private static final ExecutorService encoders = Executors.newFixedThreadPool(2);
  private static final List<List<Integer>> labels = new ArrayList<>();
  private static final List<ByteString> pixels = new ArrayList<>();
  private static ModelBundle bundle;

  /** One image a run, in one session with one thread: the reference. */
  @BeforeAll
  static void makeTheReference() throws IOException {
    bundle = ConditionalModels.publish(new ModelRepository(root), "pets", 1);
    try (Network network = open(1, 1, 1).get(0)) {
      for (List<String> requested : REQUESTED) {
        List<Integer> expected = new ArrayList<>();
        List<ByteString> images = new ArrayList<>();
        for (int i = 0; i < N; i++) {
          int label = label(requested, i);
          expected.add(label);
          images.add(
              ByteString.copyFrom(
                  network
                      .generate(Latents.of(SEED, i, LATENT), new long[] {label}, Output.PIXELS)
                      .bytes()));
        }
        labels.add(expected);
        pixels.add(ByteString.copyFrom(images));
      }
    }
  }

  private static int label(List<String> requested, int index) {
    if (requested.isEmpty()) {
      return ConditionalModels.PETS.draw(SEED, index);
    }
    long[] upTo = {1, 2, 3};
    int chosen = requested.size() == 1 ? 0 : Labels.draw(SEED, index, upTo);
    return ConditionalModels.PETS.find(requested.get(chosen)).orElseThrow();
  }

  @AfterAll
  static void end() {
    callers.shutdownNow();
    encoders.shutdownNow();
  }

  @ParameterizedTest(name = "max-batch {0}, sessions {1}, intra-op-threads {2}")
  @CsvSource({"1, 1, 1", "3, 2, 1", "8, 3, 2", "64, 1, 2", "64, 2, 1", "64, 3, 1"})
  void images_areTheSame_inEveryPiece(int maxBatch, int sessions, int threads) throws Exception {
    // So batches are as large as they may be.
    check(maxBatch, open(maxBatch, sessions, threads), GatedNetwork.TIMES);
  }

  /** As on a GPU. */
  @ParameterizedTest(name = "batch {0}, lanes {1}")
  @CsvSource({"16, 1", "5, 3"})
  void images_areTheSame_inPaddedBatches(int batch, int lanes) throws Exception {
    VerifiedNetworks fixed =
        VerifiedNetworks.openFixed(bundle, RuntimeSettings.cpu(1), lanes, batch);
    check(batch, fixed.networks(), fixed.profile());
  }

  private void check(int maxBatch, List<Network> networks, LatencyProfile profile)
      throws Exception {
    ModelRegistry models = EmptyVersionSource.models();
    models.serve(
        ServedVersion.start(
            bundle,
            Provider.CPU,
            networks,
            profile,
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
      channel =
          Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
              .build();
      Random random = new Random(maxBatch * 100L + networks.size());
      List<Future<?>> calls = new ArrayList<>();
      for (int round = 0; round < 4; round++) {
        for (int first = 0; first < N; ) {
          Piece piece =
              new Piece(
                  first,
                  Math.min(N - first, 1 + random.nextInt(30)),
                  random.nextInt(REQUESTED.size()),
                  Way.values()[random.nextInt(Way.values().length)]);
          calls.add(callers.submit(() -> piece.check(channel)));
          first += piece.count;
        }
      }
      for (Future<?> call : calls) {
        call.get(60, TimeUnit.SECONDS);
      }
      channel.shutdownNow();
    }
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
  }

  /** How some images are asked for. */
  private enum Way {
    RAW,
    PNG,
    SEEDS,
    STREAM,
    DECODE,
    INFER
  }

  private record Piece(int first, int count, int requested, Way way) {

    Void check(ManagedChannel channel) throws IOException {
      assertThat(get(channel))
          .as(toString())
          .isEqualTo(pixels.get(requested).substring(first * SIZE, (first + count) * SIZE));
      return null;
    }

    private List<Integer> expectedLabels() {
      return labels.get(requested).subList(first, first + count);
    }

    private ByteString get(ManagedChannel channel) throws IOException {
      SamplerServiceBlockingStub stub = SamplerServiceGrpc.newBlockingStub(channel);
      return switch (way) {
        case RAW -> {
          GenerateResponse response = stub.generate(request().build());
          assertThat(response.getLabelsList()).isEqualTo(expectedLabels());
          yield response.getPixels();
        }
        case PNG -> {
          List<ByteString> decoded = new ArrayList<>();
          for (ByteString png :
              stub.generate(request().setFormat(ImageFormat.IMAGE_FORMAT_PNG).build())
                  .getPngList()) {
            decoded.add(TestImages.ofPng(png));
          }
          yield ByteString.copyFrom(decoded);
        }
        case SEEDS ->
            stub.generate(request().setSeed(0).addAllSeeds(List.of(77L, SEED, 78L)).build())
                .getPixels()
                .substring(count * SIZE, 2 * count * SIZE);
        case STREAM -> {
          ByteString all = ByteString.EMPTY;
          List<Integer> found = new ArrayList<>();
          Iterator<GenerateResponse> chunks = stub.generateStream(request().build());
          while (chunks.hasNext()) {
            GenerateResponse chunk = chunks.next();
            all = all.concat(chunk.getPixels());
            found.addAll(chunk.getLabelsList());
          }
          assertThat(found).isEqualTo(expectedLabels());
          yield all;
        }
        case DECODE -> {
          DecodeRequest.Builder decode =
              DecodeRequest.newBuilder().setFormat(ImageFormat.IMAGE_FORMAT_RAW);
          for (float value : latents()) {
            decode.addLatents(value);
          }
          expectedLabels().forEach(label -> decode.addLabels(ConditionalModels.PETS.name(label)));
          yield stub.decode(decode.build()).getPixels();
        }
        case INFER ->
            GRPCInferenceServiceGrpc.newBlockingStub(channel)
                .modelInfer(infer())
                .getRawOutputContents(0);
      };
    }

    private GenerateRequest.Builder request() {
      return GenerateRequest.newBuilder()
          .setSeed(SEED)
          .setFirstIndex(first)
          .setCount(count)
          .addAllLabels(REQUESTED.get(requested))
          .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
    }

    /** The label comes first, and as raw contents. */
    private ModelInferRequest infer() {
      ByteBuffer label = ByteBuffer.allocate(count * 8).order(ByteOrder.LITTLE_ENDIAN);
      expectedLabels().forEach(label::putLong);
      ByteBuffer z = ByteBuffer.allocate(count * LATENT * 4).order(ByteOrder.LITTLE_ENDIAN);
      z.asFloatBuffer().put(latents());
      return ModelInferRequest.newBuilder()
          .addInputs(
              InferInputTensor.newBuilder().setName("label").setDatatype("INT64").addShape(count))
          .addInputs(
              InferInputTensor.newBuilder()
                  .setName("z")
                  .setDatatype("FP32")
                  .addShape(count)
                  .addShape(LATENT))
          .addAllRawInputContents(
              List.of(ByteString.copyFrom(label.flip()), ByteString.copyFrom(z)))
          .addOutputs(InferRequestedOutputTensor.newBuilder().setName("pixels"))
          .build();
    }

    private float[] latents() {
      return LatentSource.ofSeed(SEED, 1).latents(first, count, LATENT);
    }
  }

  private static List<Network> open(int maxBatch, int sessions, int threads) throws IOException {
    return Collections.unmodifiableList(
        OnnxModel.open(
            bundle, new RuntimeSettings(Provider.CPU, threads, false, 0), maxBatch, sessions));
  }
}
