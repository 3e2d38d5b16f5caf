package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.InferenceGrpcService;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ServingState;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.dcgan.v1.inference.InferTensorContents;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferRequest.InferInputTensor;
import dev.dcgan.v1.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.dcgan.v1.inference.ModelMetadataRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The labels of a conditional model over a socket, beside a model without classes. */
class ConditionalCallsTest {

  private static final int LATENT = ConditionalModels.LATENT;
  private static final ImageClasses PETS = ConditionalModels.PETS;
  private static final int SIZE = 14 * 14 * 3;

  @TempDir private static Path root;

  private static final ModelRegistry models = EmptyVersionSource.models();
  private static Network alone;
  private static GrpcServer server;
  private static ManagedChannel channel;
  private static SamplerServiceBlockingStub stub;
  private static GRPCInferenceServiceBlockingStub inference;

  @BeforeAll
  static void serve() throws IOException {
    ModelRepository repository = new ModelRepository(root);
    ModelBundle pets = ConditionalModels.publish(repository, "pets", 1);
    alone = OnnxModel.open(pets, RuntimeSettings.cpu(1), 1, 1).get(0);
    PrometheusRegistry registry = new PrometheusRegistry();
    SamplerMetrics metrics = new SamplerMetrics(registry);
    for (ModelBundle bundle : List.of(pets, TestModels.publish(repository, "digits", 3, 1))) {
      models.serve(
          ServedVersion.open(
              bundle,
              new RuntimeSettings(Provider.CPU, 1, false, 0),
              1,
              new BatchingPolicy(32, Duration.ZERO, 100_000),
              metrics.batches(bundle.name()),
              RunGuard.unwatched(RuntimeFailure::of)));
    }
    ResponseBudget budget = new ResponseBudget(1L << 30);
    ImageService images = new ImageService(models, budget, Runnable::run);
    ModelService status = new ModelService(models, budget);
    server =
        GrpcServer.start(
            new GrpcServer.Config(0, false, Duration.ZERO, null),
            registry,
            new ServingState(),
            new SamplerGrpcService(images, status, metrics),
            List.of(new InferenceGrpcService(images, status, metrics, () -> true, () -> true)));
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    stub = SamplerServiceGrpc.newBlockingStub(channel);
    inference = GRPCInferenceServiceGrpc.newBlockingStub(channel);
  }

  @AfterAll
  static void end() throws InterruptedException {
    channel.shutdownNow();
    server.close();
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    alone.close();
  }

  @Test
  void network_isThatOfTheFormula() {
    long mixture = Labels.mixture(0, 2, 20_000, 3);
    for (long label : new long[] {0, 1, 2, mixture}) {
      byte[] expected = ConditionalModels.images(1, Latents.of(5, 0, LATENT), label);
      byte[] found = image(5, 0, label).toByteArray();
      for (int i = 0; i < SIZE; i++) {
        assertThat((found[i] & 0xFF) - (expected[i] & 0xFF)).as("label " + label).isBetween(-1, 1);
      }
    }
    assertThat(image(5, 0, 0)).isNotEqualTo(image(5, 0, 2)).isNotEqualTo(image(5, 0, mixture));
  }

  @Test
  void generate_withoutALabel_drawsByTheCounts() {
    GenerateResponse response = stub.generate(generate(7, 1000, 40).build());

    List<Integer> labels = IntStream.range(0, 40).mapToObj(i -> PETS.draw(7, 1000 + i)).toList();
    assertThat(response.getLabelsList()).isEqualTo(labels).contains(0, 1, 2);
    assertThat(response.getPixels()).isEqualTo(images(7, 1000, labels));
  }

  @Test
  void generate_withOneLabel_makesThatClass() {
    for (String label : List.of("dog", "cat", "2", "0")) {
      int expected = PETS.find(label).orElseThrow();
      GenerateResponse response = stub.generate(generate(7, 3, 5).addLabels(label).build());

      assertThat(response.getLabelsList()).isEqualTo(Collections.nCopies(5, expected));
      assertThat(response.getPixels()).isEqualTo(images(7, 3, Collections.nCopies(5, expected)));
    }
  }

  @Test
  void generate_withSeveralLabels_drawsOneOfThem() {
    GenerateResponse response =
        stub.generate(
            generate(7, 0, 60).addLabels("dog").addLabels("cat").addLabels("dog").build());

    int[] listed = {2, 0, 2};
    List<Integer> labels =
        IntStream.range(0, 60)
            .mapToObj(i -> listed[Labels.draw(7, i, new long[] {1, 2, 3})])
            .toList();
    assertThat(response.getLabelsList()).isEqualTo(labels);
    assertThat(Collections.frequency(labels, 2)).isBetween(30, 50);
    assertThat(response.getPixels()).isEqualTo(images(7, 0, labels));
  }

  @Test
  void generate_ofSeveralSeeds_hasEachSeedsLabels() {
    GenerateResponse response =
        stub.generate(
            generate(0, 2, 3)
                .addAllSeeds(List.of(5L, 6L, 5L))
                .addLabels("2")
                .addLabels("dog")
                .build());

    List<Integer> expected = new ArrayList<>();
    for (long seed : new long[] {5, 6, 5}) {
      expected.addAll(
          stub.generate(generate(seed, 2, 3).addLabels("2").addLabels("dog").build())
              .getLabelsList());
    }
    assertThat(response.getLabelsList()).isEqualTo(expected);
    assertThat(response.getPixels().substring(0, 3 * SIZE))
        .isEqualTo(images(5, 2, expected.subList(0, 3)));
  }

  @Test
  void generate_givesLabels_inEveryFormat() {
    List<Integer> labels = IntStream.range(0, 4).mapToObj(i -> PETS.draw(3, i)).toList();
    for (ImageFormat format :
        List.of(
            ImageFormat.IMAGE_FORMAT_PNG,
            ImageFormat.IMAGE_FORMAT_FLOAT,
            ImageFormat.IMAGE_FORMAT_SHEET)) {
      assertThat(stub.generate(generate(3, 0, 4).setFormat(format).build()).getLabelsList())
          .isEqualTo(labels);
    }
  }

  @Test
  void generateStream_isGenerate_inChunks() {
    for (List<String> labels : List.of(List.<String>of(), List.of("dog"), List.of("cat", "2"))) {
      GenerateRequest request = generate(8, 5, 700).addAllLabels(labels).build();
      GenerateResponse whole = stub.generate(request);
      List<Integer> found = new ArrayList<>();
      ByteString pixels = ByteString.EMPTY;
      int chunks = 0;
      for (var chunk = stub.generateStream(request); chunk.hasNext(); chunks++) {
        GenerateResponse next = chunk.next();
        assertThat(next.getLabelsCount()).isEqualTo(next.getCount());
        found.addAll(next.getLabelsList());
        pixels = pixels.concat(next.getPixels());
      }
      assertThat(chunks).isGreaterThan(2);
      assertThat(found).isEqualTo(whole.getLabelsList());
      assertThat(pixels).isEqualTo(whole.getPixels());
    }
  }

  @Test
  void decode_takesOneLabel_orOneForEachLatent() {
    GetLatentsResponse latents =
        stub.getLatents(
            GetLatentsRequest.newBuilder().setModel("pets").setSeed(4).setCount(6).build());
    GenerateResponse generated = stub.generate(generate(4, 0, 6).build());
    assertThat(latents.getLabelsList()).isEqualTo(generated.getLabelsList());

    DecodeRequest.Builder decode =
        DecodeRequest.newBuilder()
            .setModel("pets")
            .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
            .addAllLatents(latents.getLatentsList());
    GenerateResponse each =
        stub.decode(
            decode
                .clone()
                .addAllLabels(latents.getLabelsList().stream().map(PETS::name).toList())
                .build());
    assertThat(each.getPixels()).isEqualTo(generated.getPixels());
    assertThat(each.getLabelsList()).isEqualTo(generated.getLabelsList());
    GenerateResponse one = stub.decode(decode.clone().addLabels("dog").build());
    assertThat(one.getPixels()).isEqualTo(images(4, 0, Collections.nCopies(6, 2)));
    for (List<String> labels : List.of(List.<String>of(), List.of("cat", "dog"))) {
      assertInvalid(
          () -> stub.decode(decode.clone().addAllLabels(labels).build()),
          "labels",
          "%d labels of 6 latents".formatted(labels.size()),
          "cat (0), 2 (1), dog (2)");
    }
  }

  @Test
  void getLatents_hasTheLabelsThatGenerateHas() {
    assertThat(
            stub.getLatents(
                    GetLatentsRequest.newBuilder()
                        .setModel("pets")
                        .setSeed(4)
                        .setFirstIndex(9)
                        .setCount(30)
                        .addLabels("dog")
                        .addLabels("2")
                        .build())
                .getLabelsList())
        .isEqualTo(
            stub.generate(generate(4, 9, 30).addLabels("dog").addLabels("2").build())
                .getLabelsList());
  }

  @Test
  void interpolate_goesFromClassToClass_bothEndsExact() {
    InterpolateRequest.Builder way =
        InterpolateRequest.newBuilder()
            .setModel("pets")
            .setFrom(ImagePoint.newBuilder().setSeed(1).setIndex(2))
            .setTo(ImagePoint.newBuilder().setSeed(1).setIndex(2))
            .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
            .setCount(4)
            .setFromLabel("cat")
            .setToLabel("dog");
    GenerateResponse response = stub.interpolate(way.build());

    ByteString expected =
        image(1, 2, 0)
            .concat(image(1, 2, Labels.mixture(0, 2, 21_845, 3)))
            .concat(image(1, 2, Labels.mixture(0, 2, 43_691, 3)))
            .concat(image(1, 2, 2));
    assertThat(response.getPixels()).isEqualTo(expected);
    assertThat(response.getLabelsList()).isEmpty();
    assertThat(stub.interpolate(way.setToLabel("0").build()).getLabelsList())
        .isEqualTo(List.of(0, 0, 0, 0));
  }

  @Test
  void interpolate_withOneLabel_keepsTheClass_fromPointToPoint() {
    InterpolateRequest.Builder way =
        InterpolateRequest.newBuilder()
            .setModel("pets")
            .setFrom(ImagePoint.newBuilder().setSeed(1).setIndex(2))
            .setTo(ImagePoint.newBuilder().setSeed(6).setIndex(1))
            .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
            .setCount(3)
            .setFromLabel("dog")
            .setToLabel("dog");
    GenerateResponse dog = stub.interpolate(way.build());
    ByteString cat =
        stub.interpolate(way.setFromLabel("cat").setToLabel("cat").build()).getPixels();

    assertThat(dog.getLabelsList()).isEqualTo(List.of(2, 2, 2));
    ByteString first = image(1, 2, 2);
    ByteString last = image(6, 1, 2);
    int size = first.size();
    assertThat(dog.getPixels().substring(0, size)).isEqualTo(first);
    assertThat(dog.getPixels().substring(2 * size)).isEqualTo(last);
    ByteString middle = dog.getPixels().substring(size, 2 * size);
    assertThat(middle).isNotIn(first, last, cat.substring(size, 2 * size));
  }

  @Test
  void interpolate_withoutLabels_hasThoseOfItsEnds() {
    InterpolateRequest way =
        InterpolateRequest.newBuilder()
            .setModel("pets")
            .setFrom(ImagePoint.newBuilder().setSeed(1).setIndex(2))
            .setTo(ImagePoint.newBuilder().setSeed(6).setIndex(1))
            .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
            .setCount(9)
            .build();
    ByteString pixels = stub.interpolate(way).getPixels();

    assertThat(pixels.substring(0, SIZE))
        .isEqualTo(stub.generate(generate(1, 2, 1).build()).getPixels());
    assertThat(pixels.substring(8 * SIZE))
        .isEqualTo(stub.generate(generate(6, 1, 1).build()).getPixels());
  }

  @Test
  void unknownLabels_areRefused_withTheClasses() {
    String classes = "expected one of cat (0), 2 (1), dog (2)";
    for (String label : List.of("bird", "3", "-1", "", "Cat")) {
      GenerateRequest request = generate(1, 0, 1).addLabels("cat").addLabels(label).build();
      String found = "label '%s'".formatted(label);
      assertInvalid(() -> stub.generate(request), "labels", found, classes);
      assertInvalid(() -> stub.generateStream(request).next(), "labels", found, classes);
      assertInvalid(
          () ->
              stub.getLatents(
                  GetLatentsRequest.newBuilder()
                      .setModel("pets")
                      .setCount(1)
                      .addLabels(label)
                      .build()),
          "labels",
          found,
          classes);
    }
    assertInvalid(
        () -> stub.interpolate(way("pets").setToLabel("bird").build()), "to_label", classes);
    assertInvalid(
        () ->
            stub.generate(generate(1, 0, 1).addAllLabels(Collections.nCopies(1025, "cat")).build()),
        "labels",
        "1025 labels: expected at most 1024");
  }

  @Test
  void labels_forAModelWithoutClasses_areRefused() {
    String reason = "the model has no classes";
    assertInvalid(
        () -> stub.generate(generate(1, 0, 1).setModel("digits").addLabels("7").build()),
        "labels",
        reason);
    assertInvalid(
        () ->
            stub.decode(
                DecodeRequest.newBuilder()
                    .setModel("digits")
                    .addAllLatents(Collections.nCopies(LATENT, 0f))
                    .addLabels("7")
                    .build()),
        "labels",
        reason);
    assertInvalid(
        () -> stub.interpolate(way("digits").setFromLabel("7").build()), "from_label", reason);
    assertThat(stub.interpolate(way("digits").build()).getLabelsList()).isEmpty();
    assertThat(stub.generate(generate(1, 0, 3).setModel("digits").build()).getLabelsList())
        .isEmpty();
  }

  @Test
  void responseLimit_countsTheLabels() {
    GenerateRequest.Builder most = generate(1, 0, ((4 << 20) - 512) / (SIZE + 2));
    assertThat(stub.generate(most.build()).getSerializedSize()).isLessThanOrEqualTo(4 << 20);
    assertInvalid(
        () -> stub.generate(most.setCount(most.getCount() + 1).build()), "count", "7108 images");
    int latents = ((4 << 20) - 512) / (4 * LATENT + 2);
    GetLatentsRequest.Builder all =
        GetLatentsRequest.newBuilder().setModel("pets").setCount(latents);
    assertThat(stub.getLatents(all.build()).getSerializedSize()).isLessThanOrEqualTo(4 << 20);
    assertInvalid(() -> stub.getLatents(all.setCount(latents + 1).build()), "count", "latents");
  }

  @Test
  void getModel_listsTheClasses() {
    assertThat(
            stub.getModel(GetModelRequest.newBuilder().setModel("pets").build())
                .getManifest()
                .getClassesList())
        .isEqualTo(PETS.toProto());
  }

  @Test
  void infer_takesLabelsAndMixtures() {
    long mixture = Labels.mixture(2, 1, 65_535, 3);
    ModelInferRequest request = infer(2, mixture).build();

    assertThat(inference.modelInfer(request).getRawOutputContents(0))
        .isEqualTo(image(6, 0, 2).concat(image(6, 1, mixture)));
  }

  @Test
  void infer_ofWrongLabels_isRefused() {
    assertInvalid(
        () -> inference.modelInfer(infer(2).removeInputs(1).build()),
        "inputs",
        "1 inputs: expected two, 'z' FP32 [n, 8] and 'label' INT64 [n]");
    assertInvalid(
        () -> inference.modelInfer(infer(2).setModelName("digits").build()),
        "inputs",
        "2 inputs: expected one, 'z' FP32 [n, 8]");
    long end = 3L * 3 * 65_536;
    assertThat(inference.modelInfer(infer(end - 1).build()).getOutputsCount()).isEqualTo(1);
    for (long label : new long[] {-1, end, Long.MAX_VALUE, Long.MIN_VALUE}) {
      assertInvalid(
          () -> inference.modelInfer(infer(2, label).build()),
          "inputs[1].contents",
          "label %d of latent 1: expected 0 to 2".formatted(label),
          "cat (0), 2 (1), dog (2)",
          "below " + end);
    }
    ModelInferRequest.Builder fewer = infer(2, 1);
    fewer.getInputsBuilder(1).setShape(0, 1).getContentsBuilder().clearInt64Contents();
    assertInvalid(
        () -> inference.modelInfer(fewer.build()),
        "inputs[1].shape",
        "0 INT64 values: expected [2]");
    for (List<Long> shape : List.of(List.<Long>of(), List.of(2L, 1L), List.of(1L), List.of(-1L))) {
      ModelInferRequest.Builder wrong = infer(2, 1);
      wrong.getInputsBuilder(1).clearShape().addAllShape(shape);
      assertInvalid(() -> inference.modelInfer(wrong.build()), "inputs[1].shape", "shape " + shape);
    }
    ModelInferRequest.Builder type = infer(2);
    type.getInputsBuilder(1).setDatatype("INT32");
    assertInvalid(
        () -> inference.modelInfer(type.build()),
        "inputs[1].datatype",
        "datatype 'INT32' of input 'label': expected INT64");
    ModelInferRequest.Builder twice = infer(2);
    twice.getInputsBuilder(1).setName("z");
    assertInvalid(
        () -> inference.modelInfer(twice.build()), "inputs[1].name", "'z' is there twice");
    ModelInferRequest.Builder raw = infer(2);
    raw.getInputsBuilder(0).clearContents();
    raw.getInputsBuilder(1).clearContents();
    for (int bytes : new int[] {7, 12}) {
      assertInvalid(
          () ->
              inference.modelInfer(
                  raw.clone()
                      .addRawInputContents(ByteString.copyFrom(new byte[4 * LATENT]))
                      .addRawInputContents(ByteString.copyFrom(new byte[bytes]))
                      .build()),
          "raw_input_contents",
          "[32, %d] bytes".formatted(bytes),
          "for input 'label', of 8 bytes a value");
    }
    assertInvalid(
        () ->
            inference.modelInfer(
                raw.clone().addRawInputContents(ByteString.copyFrom(new byte[32])).build()),
        "raw_input_contents",
        "1 raw_input_contents of [32] bytes: expected one, for input 'z'");
  }

  @Test
  void modelMetadata_listsTheLabel() {
    assertThat(
            inference
                .modelMetadata(ModelMetadataRequest.newBuilder().setName("pets").build())
                .getInputsList())
        .extracting(input -> input.getName() + " " + input.getDatatype() + input.getShapeList())
        .containsExactly("z FP32[-1, 8]", "label INT64[-1]");
  }

  /** The latents of seed 6 with these labels. */
  private static ModelInferRequest.Builder infer(long... labels) {
    InferTensorContents.Builder z = InferTensorContents.newBuilder();
    InferTensorContents.Builder label = InferTensorContents.newBuilder();
    for (int i = 0; i < labels.length; i++) {
      for (float value : Latents.of(6, i, LATENT)) {
        z.addFp32Contents(value);
      }
      label.addInt64Contents(labels[i]);
    }
    return ModelInferRequest.newBuilder()
        .setModelName("pets")
        .addInputs(
            InferInputTensor.newBuilder()
                .setName("z")
                .setDatatype("FP32")
                .addShape(labels.length)
                .addShape(LATENT)
                .setContents(z))
        .addInputs(
            InferInputTensor.newBuilder()
                .setName("label")
                .setDatatype("INT64")
                .addShape(labels.length)
                .setContents(label))
        .addOutputs(InferRequestedOutputTensor.newBuilder().setName("pixels"));
  }

  private static InterpolateRequest.Builder way(String model) {
    return InterpolateRequest.newBuilder().setModel(model).setCount(2);
  }

  private static GenerateRequest.Builder generate(long seed, long first, int count) {
    return GenerateRequest.newBuilder()
        .setModel("pets")
        .setSeed(seed)
        .setFirstIndex(first)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }

  /** As the network makes it in a batch of one. */
  private static ByteString image(long seed, long index, long label) {
    return ByteString.copyFrom(
        alone.generate(Latents.of(seed, index, LATENT), new long[] {label}, Output.PIXELS).bytes());
  }

  private static ByteString images(long seed, long first, List<Integer> labels) {
    List<ByteString> images = new ArrayList<>();
    for (int i = 0; i < labels.size(); i++) {
      images.add(image(seed, first + i, labels.get(i)));
    }
    return ByteString.copyFrom(images);
  }

  private static void assertInvalid(ThrowingCallable call, String field, String... facts) {
    StatusRuntimeException refusal = catchThrowableOfType(StatusRuntimeException.class, call);
    assertThat(refusal.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(refusal.getStatus().getDescription()).contains(facts).doesNotContain("\n");
    assertThat(violation(refusal).getField()).isEqualTo(field);
  }

  private static BadRequest.FieldViolation violation(StatusRuntimeException refusal) {
    try {
      return StatusProto.fromThrowable(refusal)
          .getDetails(0)
          .unpack(BadRequest.class)
          .getFieldViolations(0);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
