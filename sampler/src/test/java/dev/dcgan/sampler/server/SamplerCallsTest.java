package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.LatentSource;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.Priority;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.junit.jupiter.params.provider.ValueSource;

/** Latents, the images of them, the way between two, sheets and priorities, over a socket. */
class SamplerCallsTest {

  private static final int LATENT = TestModels.LATENT;
  private static final int SIZE = 14 * 14 * 3;

  @TempDir private static Path root;

  private static final ModelRegistry models = EmptyVersionSource.models();
  private static ModelBundle bundle;
  private static GrpcServer server;
  private static ManagedChannel channel;
  private static SamplerServiceBlockingStub stub;

  @BeforeAll
  static void serve() throws IOException {
    bundle = TestModels.publish(new ModelRepository(root), "digits", 3, 1);
    PrometheusRegistry registry = new PrometheusRegistry();
    SamplerMetrics metrics = new SamplerMetrics(registry);
    models.serve(
        ServedVersion.open(
            bundle,
            new RuntimeSettings(Provider.CPU, 1, false, 0),
            1,
            new BatchingPolicy(32, Duration.ZERO, 5462),
            metrics.batches("digits"),
            RunGuard.unwatched(RuntimeFailure::of)));
    ResponseBudget budget = new ResponseBudget(1L << 30);
    server =
        GrpcServer.start(
            0,
            new SamplerGrpcService(
                new ImageService(models, budget, Runnable::run),
                new ModelService(models, budget),
                metrics),
            registry);
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    stub = SamplerServiceGrpc.newBlockingStub(channel);
  }

  @AfterAll
  static void end() throws InterruptedException {
    channel.shutdownNow();
    server.close();
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "5, 3", "-1, 9223372036854775800"})
  void getLatents_areThoseOfTheLaw_bitForBit(long seed, long first) {
    GetLatentsResponse answer =
        stub.getLatents(
            GetLatentsRequest.newBuilder()
                .setSeed(seed)
                .setFirstIndex(first)
                .setCount(5)
                .setModel("digits")
                .setVersion(1)
                .build());
    assertThat(answer.getModel()).isEqualTo(bundle.manifest().getModel());
    assertThat(answer.getLatentSize()).isEqualTo(LATENT);
    assertThat(answer.getLatentsCount()).isEqualTo(5 * LATENT);
    for (int i = 0; i < 5 * LATENT; i++) {
      assertThat(Float.floatToRawIntBits(answer.getLatents(i)))
          .isEqualTo(
              Float.floatToRawIntBits(Latents.of(seed, first + i / LATENT, LATENT)[i % LATENT]));
    }
  }

  @Test
  void getLatents_comeScaledByTheTemperature() {
    GetLatentsRequest.Builder asked = GetLatentsRequest.newBuilder().setSeed(4).setCount(3);
    List<Float> plain = stub.getLatents(asked.build()).getLatentsList();
    List<Float> cool = stub.getLatents(asked.setTemperature(0.7f).build()).getLatentsList();
    assertThat(cool).isEqualTo(plain.stream().map(z -> z * 0.7f).toList());
  }

  @Test
  void getLatents_asManyAsFitIntoAnAnswer() throws IOException {
    int fit = ((4 << 20) - 512) / (LATENT * 4);
    GetLatentsRequest.Builder asked = GetLatentsRequest.newBuilder().setCount(fit);
    assertThat(stub.getLatents(asked.build()).getLatentsCount()).isEqualTo(fit * LATENT);
    assertInvalid(
        () -> stub.getLatents(asked.setCount(fit + 1).build()),
        "count",
        "count 131057 exceeds 131056 latents of 8 floats");
    assertInvalid(() -> stub.getLatents(asked.setCount(0).build()), "count", "expected 1 or more");
    assertInvalid(
        () -> stub.getLatents(asked.setCount(1).setTemperature(3).build()), "temperature", "3.0");
    assertInvalid(
        () -> stub.getLatents(asked.clearTemperature().setFirstIndex(-1).build()),
        "first_index",
        "2^63");
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "UNRECOGNIZED")
  void decode_ofLatentsThatWereGot_equalsGenerate(ImageFormat format) {
    GetLatentsResponse latents =
        stub.getLatents(
            GetLatentsRequest.newBuilder().setSeed(6).setCount(11).setTemperature(0.8f).build());
    GenerateResponse generated =
        stub.generate(
            GenerateRequest.newBuilder()
                .setSeed(6)
                .setCount(11)
                .setTemperature(0.8f)
                .setFormat(format)
                .build());
    GenerateResponse decoded =
        stub.decode(
            DecodeRequest.newBuilder()
                .addAllLatents(latents.getLatentsList())
                .setFormat(format)
                .build());
    assertThat(decoded).isEqualTo(generated);
  }

  @Test
  void decode_ofWhatAreNoLatents_isRefused() throws IOException {
    for (int floats : List.of(0, 1, LATENT - 1, LATENT + 1)) {
      assertInvalid(
          () -> stub.decode(latents(floats).build()),
          "latents",
          "%d floats: expected (n, 8)".formatted(floats));
    }
    for (float value : List.of(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)) {
      assertInvalid(
          () -> stub.decode(latents(2 * LATENT).setLatents(9, value).build()),
          "latents",
          "value 9 is %s: expected a finite number".formatted(value));
    }
    assertInvalid(
        () -> stub.decode(latents(LATENT * 4097).build()), "count", "count 4097 exceeds ");
    assertInvalid(
        () -> stub.decode(latents(LATENT).setFormatValue(7).build()), "format", "format 7");
    assertInvalid(
        () -> stub.decode(latents(LATENT).setPriorityValue(7).build()), "priority", "priority 7");
  }

  @Test
  void interpolate_goesFromOneImageToTheOther_alongTheArc() {
    ByteString way = stub.interpolate(way(5, 2, 8, 70, 9).build()).getPixels();
    assertThat(way.size()).isEqualTo(9 * SIZE);
    assertThat(way.substring(0, SIZE)).isEqualTo(image(5, 2));
    assertThat(way.substring(8 * SIZE)).isEqualTo(image(8, 70));

    float[] latents =
        LatentSource.arc(Latents.of(5, 2, LATENT), Latents.of(8, 70, LATENT), 9)
            .latents(0, 9, LATENT);
    DecodeRequest.Builder between =
        DecodeRequest.newBuilder().setFormat(ImageFormat.IMAGE_FORMAT_RAW);
    for (float value : latents) {
      between.addLatents(value);
    }
    assertThat(stub.decode(between.build()).getPixels()).isEqualTo(way);
    assertThat(IntStream.range(0, 9).mapToObj(i -> way.substring(i * SIZE, (i + 1) * SIZE)))
        .doesNotHaveDuplicates();
  }

  @Test
  void interpolate_ofTwo_isTheEnds_andFromAPointToItselfThatPoint() {
    assertThat(stub.interpolate(way(5, 2, 8, 70, 2).build()).getPixels())
        .isEqualTo(image(5, 2).concat(image(8, 70)));
    ByteString still = image(5, 2);
    assertThat(stub.interpolate(way(5, 2, 5, 2, 3).build()).getPixels())
        .isEqualTo(still.concat(still).concat(still));
  }

  @Test
  void interpolate_ofOneOrNone_orTooMany_isRefused() throws IOException {
    for (int count : List.of(0, 1)) {
      assertInvalid(
          () -> stub.interpolate(way(1, 0, 2, 0, count).build()),
          "count",
          "count %d: expected 2 or more, both ends included".formatted(count));
    }
    assertInvalid(
        () -> stub.interpolate(way(1, 0, 2, 0, -1).build()), "count", "count 4294967295 exceeds ");
    assertInvalid(
        () -> stub.interpolate(way(1, 0, 2, 0, 3).setFormatValue(7).build()), "format", "format 7");
    assertInvalid(
        () -> stub.interpolate(way(1, 0, 2, 0, 3).setPriorityValue(7).build()),
        "priority",
        "priority 7");
  }

  @Test
  void interpolate_asASheet_isOneRow() throws IOException {
    InterpolateRequest.Builder asked = way(1, 0, 2, 0, 7).setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
    ByteString raw = stub.interpolate(way(1, 0, 2, 0, 7).build()).getPixels();
    assertThat(TestImages.ofSheet(stub.interpolate(asked.build()).getSheet(), 14, 7, 7))
        .isEqualTo(raw);
    assertThat(
            TestImages.ofSheet(stub.interpolate(asked.setColumns(2).build()).getSheet(), 14, 7, 2))
        .isEqualTo(raw);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 100})
  void sheet_hasAsManyColumnsAsAskedFor(int columns) throws IOException {
    GenerateRequest.Builder asked = generate().setCount(7);
    ByteString raw = stub.generate(asked.build()).getPixels();
    ByteString sheet =
        stub.generate(asked.setFormat(ImageFormat.IMAGE_FORMAT_SHEET).setColumns(columns).build())
            .getSheet();
    assertThat(TestImages.ofSheet(sheet, 14, 7, columns == 0 ? 5 : columns)).isEqualTo(raw);
  }

  @Test
  void sheet_ofTooManyColumns_isRefused() throws IOException {
    for (int columns : List.of(65537, -1)) {
      assertInvalid(
          () -> stub.generate(generate().setColumns(columns).build()),
          "columns",
          "expected 0 to 65536");
    }
  }

  @Test
  void seeds_giveTheImagesOfEachSeed_inOrder() throws IOException {
    List<Long> seeds = List.of(9L, -1L, 0L, 9L);
    GenerateRequest.Builder grid =
        generate().clearSeed().addAllSeeds(seeds).setCount(3).setFirstIndex(5);
    ByteString expected = ByteString.EMPTY;
    for (long seed : seeds) {
      expected =
          expected.concat(
              stub.generate(generate().setSeed(seed).setCount(3).setFirstIndex(5).build())
                  .getPixels());
    }
    GenerateResponse response = stub.generate(grid.build());
    assertThat(response.getPixels()).isEqualTo(expected);
    assertThat(response.getCount()).isEqualTo(12);
    assertThat(response.getFirstIndex()).isEqualTo(5);
    assertThat(response.getSeedIndex()).isZero();
    assertThat(
            TestImages.ofSheet(
                stub.generate(grid.setFormat(ImageFormat.IMAGE_FORMAT_SHEET).build()).getSheet(),
                14,
                12,
                5))
        .isEqualTo(expected);
    assertThat(stub.generate(generate().clearSeed().clearCount().addSeeds(9).build()).getPixels())
        .as("one image by default")
        .isEqualTo(image(9, 0));
  }

  @Test
  void stream_ofSeeds_saysWhatEachMessageHolds() {
    int perSeed = 1000;
    Iterator<GenerateResponse> stream =
        stub.generateStream(
            generate()
                .clearSeed()
                .addAllSeeds(List.of(3L, 4L, 3L))
                .setCount(perSeed)
                .setFirstIndex(7)
                .build());
    long place = 0;
    ByteString all = ByteString.EMPTY;
    while (stream.hasNext()) {
      GenerateResponse message = stream.next();
      assertThat(message.getSeedIndex()).isEqualTo((int) (place / perSeed));
      assertThat(message.getFirstIndex()).isEqualTo(7 + place % perSeed);
      place += message.getCount();
      all = all.concat(message.getPixels());
    }
    assertThat(place).isEqualTo(3L * perSeed);
    int size = perSeed * SIZE;
    assertThat(all.substring(0, size)).isEqualTo(all.substring(2 * size));
    assertThat(all.substring(size - SIZE, size)).isEqualTo(image(3, 7 + perSeed - 1));
    assertThat(all.substring(size, size + SIZE)).isEqualTo(image(4, 7));
  }

  @Test
  void seeds_thatAreInvalid_areRefused() throws IOException {
    assertInvalid(
        () -> stub.generate(generate().addSeeds(1).build()), "seeds", "either seed or seeds");
    assertInvalid(
        () ->
            stub.generateStream(
                    generate().clearSeed().addAllSeeds(Collections.nCopies(65537, 1L)).build())
                .next(),
        "seeds",
        "at most 65536");
    assertInvalid(
        () ->
            stub.generate(
                generate().clearSeed().addAllSeeds(List.of(1L, 2L)).setCount(2049).build()),
        "seeds",
        "4098 exceeds 4096");
    assertInvalid(
        () ->
            stub.generate(
                generate()
                    .clearSeed()
                    .addAllSeeds(List.of(1L, 2L))
                    .setFirstIndex(Long.MAX_VALUE)
                    .setCount(2)
                    .build()),
        "first_index",
        "2^63");
  }

  @Test
  void scale_enlargesPngAndSheet_only() throws IOException {
    GenerateRequest.Builder asked = generate().setCount(3);
    GenerateResponse png =
        stub.generate(asked.setFormat(ImageFormat.IMAGE_FORMAT_PNG).setScale(4).build());
    BufferedImage image = ImageIO.read(png.getPng(2).newInput());
    assertThat(image.getWidth()).isEqualTo(4 * 14);
    assertThat(image.getHeight()).isEqualTo(4 * 14);
    assertThat(png.getShape().getWidth()).isEqualTo(14);
    asked.setFormat(ImageFormat.IMAGE_FORMAT_SHEET);
    BufferedImage sheet = ImageIO.read(stub.generate(asked.build()).getSheet().newInput());
    assertThat(sheet.getWidth()).isEqualTo(4 * (2 + 3 * 16));
    assertThat(
            ImageIO.read(
                    stub.interpolate(
                            way(1, 0, 2, 0, 2)
                                .setFormat(ImageFormat.IMAGE_FORMAT_SHEET)
                                .setScale(3)
                                .build())
                        .getSheet()
                        .newInput())
                .getWidth())
        .isEqualTo(3 * (2 + 2 * 16));
    for (int scale : List.of(17, -1)) {
      assertInvalid(() -> stub.generate(asked.setScale(scale).build()), "scale", "1 to 16");
    }
    for (ImageFormat format :
        List.of(ImageFormat.IMAGE_FORMAT_RAW, ImageFormat.IMAGE_FORMAT_FLOAT)) {
      assertInvalid(
          () -> stub.generate(generate().setFormat(format).setScale(2).build()),
          "scale",
          "expected 1 for RAW and FLOAT");
    }
  }

  @Test
  void scale_countsInTheLimitOfAResponse() throws IOException {
    GenerateRequest.Builder asked =
        generate().setFormat(ImageFormat.IMAGE_FORMAT_PNG).setCount(1000);
    assertThat(stub.generate(asked.build()).getPngCount()).isEqualTo(1000);
    assertInvalid(() -> stub.generate(asked.setScale(16).build()), "count", "at scale 16");
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "UNRECOGNIZED")
  void priority_changesNoImage(Priority priority) {
    assertThat(stub.generate(generate().setPriority(priority).build()).getPixels())
        .isEqualTo(image(5, 0));
    assertThat(stub.generateStream(generate().setPriority(priority).build()).next().getPixels())
        .isEqualTo(image(5, 0));
  }

  @Test
  void unknownEnumValues_areRefused() throws IOException {
    assertInvalid(
        () -> stub.generate(generate().setFormatValue(5).build()),
        "format",
        "format 5: expected PNG (1), RAW (2), FLOAT (3) or SHEET (4)");
    assertInvalid(
        () -> stub.generate(generate().setPriorityValue(4).build()),
        "priority",
        "priority 4: expected LOW (1), NORMAL (2) or HIGH (3)");
    assertInvalid(
        () -> stub.generateStream(generate().setFormatValue(-1).build()).next(),
        "format",
        "format -1");
    assertInvalid(
        () -> stub.generateStream(generate().setPriorityValue(-1).build()).next(),
        "priority",
        "priority -1");
  }

  private static ByteString image(long seed, long index) {
    return stub.generate(generate().setSeed(seed).setFirstIndex(index).build()).getPixels();
  }

  private static GenerateRequest.Builder generate() {
    return GenerateRequest.newBuilder()
        .setSeed(5)
        .setCount(1)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }

  private static DecodeRequest.Builder latents(int floats) {
    return DecodeRequest.newBuilder()
        .addAllLatents(IntStream.range(0, floats).mapToObj(i -> 0.5f).collect(Collectors.toList()))
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }

  private static InterpolateRequest.Builder way(
      long seed, long index, long toSeed, long toIndex, int count) {
    return InterpolateRequest.newBuilder()
        .setFrom(ImagePoint.newBuilder().setSeed(seed).setIndex(index))
        .setTo(ImagePoint.newBuilder().setSeed(toSeed).setIndex(toIndex))
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }

  private static void assertInvalid(ThrowingCallable call, String field, String description)
      throws IOException {
    StatusRuntimeException refused = catchThrowableOfType(StatusRuntimeException.class, call);
    assertThat(refused).isNotNull();
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    com.google.rpc.Status status = StatusProto.fromThrowable(refused);
    assertThat(status).isNotNull();
    BadRequest.FieldViolation violation =
        status.getDetails(0).unpack(BadRequest.class).getFieldViolations(0);
    assertThat(violation.getField()).isEqualTo(field);
    assertThat(violation.getDescription()).contains(description);
  }
}
