package dev.dcgan.sampler.grpc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageResult;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ServingState;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import dev.dcgan.v1.inference.InferParameter;
import dev.dcgan.v1.inference.InferTensorContents;
import dev.dcgan.v1.inference.ModelInferRequest;
import dev.dcgan.v1.inference.ModelInferRequest.InferInputTensor;
import dev.dcgan.v1.inference.ModelInferRequest.InferRequestedOutputTensor;
import dev.dcgan.v1.inference.ModelInferResponse;
import dev.dcgan.v1.inference.ModelMetadataRequest;
import dev.dcgan.v1.inference.ModelMetadataResponse;
import dev.dcgan.v1.inference.ModelMetadataResponse.TensorMetadata;
import dev.dcgan.v1.inference.ModelReadyRequest;
import dev.dcgan.v1.inference.ServerLiveRequest;
import dev.dcgan.v1.inference.ServerMetadataRequest;
import dev.dcgan.v1.inference.ServerMetadataResponse;
import dev.dcgan.v1.inference.ServerReadyRequest;
import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The Open Inference Protocol over a socket, with a network that the test holds back. */
class InferenceGrpcServiceTest {

  private static final int LATENT = TestModels.LATENT;
  private static final int SIZE = 14 * 14;
  private static final int MAX_OF_CALLER = 5000;
  private static final int MAX_QUEUE = 6667;

  @TempDir private Path root;

  private final GatedNetwork network = new GatedNetwork(LATENT, SIZE);
  private final QueueWatch watch = new QueueWatch();
  private final ModelRegistry models = EmptyVersionSource.models();
  private final Queue<ImageResult<?>> sent = new ConcurrentLinkedQueue<>();
  private final PrometheusRegistry registry = new PrometheusRegistry();
  private GrpcServer server;
  private ManagedChannel channel;
  private GRPCInferenceServiceBlockingStub stub;

  @BeforeEach
  void serve() throws IOException {
    ResponseBudget budget = new ResponseBudget(1L << 30);
    ImageService images = new ImageService(models, budget, Runnable::run);
    ModelService status = new ModelService(models, budget);
    ServingState state = new ServingState();
    server =
        GrpcServer.start(
            new GrpcServer.Config(0, false, Duration.ZERO, null),
            registry,
            state,
            new SamplerGrpcService(images, status, sent::add),
            List.of(
                new InferenceGrpcService(images, status, sent::add, () -> true, state::isReady)));
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    stub = GRPCInferenceServiceGrpc.newBlockingStub(channel);
  }

  @AfterEach
  void end() throws InterruptedException {
    channel.shutdownNow();
    network.permit(1000);
    server.drain(Duration.ZERO, Duration.ofSeconds(10));
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
  }

  @ParameterizedTest
  @MethodSource("methodsWithNames")
  void invalidUtf8_isAnInvalidArgument(MethodDescriptor<?, ?> method) {
    MethodDescriptor<ByteString, ByteString> bytes =
        method.toBuilder(new Bytes(), new Bytes()).build();
    ByteString name = ByteString.copyFrom(new byte[] {0x0a, 2, (byte) 0xc3, 0x28}); // Field 1.
    for (int i = 0; i < 100; i++) {
      StatusRuntimeException refused =
          catchThrowableOfType(
              StatusRuntimeException.class,
              () -> ClientCalls.blockingUnaryCall(channel, bytes, CallOptions.DEFAULT, name));
      assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
      assertThat(refused.getStatus().getDescription())
          .contains("cannot parse the request", "UTF-8")
          .hasLineCount(1);
    }
  }

  static List<MethodDescriptor<?, ?>> methodsWithNames() {
    return List.of(
        GRPCInferenceServiceGrpc.getModelReadyMethod(),
        GRPCInferenceServiceGrpc.getModelMetadataMethod(),
        GRPCInferenceServiceGrpc.getModelInferMethod());
  }

  /** Sends bytes that need not be a message. */
  private static final class Bytes implements MethodDescriptor.Marshaller<ByteString> {

    @Override
    public InputStream stream(ByteString value) {
      return value.newInput();
    }

    @Override
    public ByteString parse(InputStream stream) {
      try {
        return ByteString.readFrom(stream);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  @Test
  void server_isLive_andReadyAsItsHealthSays() {
    assertThat(stub.serverLive(ServerLiveRequest.getDefaultInstance()).getLive()).isTrue();
    assertThat(isReady()).isFalse();
    server.setReady(true);
    assertThat(isReady()).isTrue();
    server.setReady(false);
    assertThat(isReady()).isFalse();
  }

  @Test
  void server_saysWhatItIs() {
    assertThat(stub.serverMetadata(ServerMetadataRequest.getDefaultInstance()))
        .isEqualTo(
            ServerMetadataResponse.newBuilder()
                .setName("dcgan-sampler")
                .setVersion("(not packaged)")
                .build());
  }

  @Test
  void modelReady_isFalse_forWhatIsNotThere() throws IOException {
    assertThat(isReady("digits", "")).as("before there is a model").isFalse();
    load();
    assertThat(isReady("digits", "")).isTrue();
    assertThat(isReady("", "")).as("the only one").isTrue();
    assertThat(isReady("digits", "1")).isTrue();
    assertThat(isReady("digits", "2")).isFalse();
    assertThat(isReady("cats", "")).isFalse();
    StatusRuntimeException refused =
        catchThrowableOfType(StatusRuntimeException.class, () -> isReady("digits", "newest"));
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(refused.getStatus().getDescription())
        .isEqualTo("version 'newest': expected a number above 0, or none for the one in service");
  }

  @Test
  void modelMetadata_namesTheTensors() throws IOException {
    load();
    assertThat(stub.modelMetadata(ModelMetadataRequest.newBuilder().setName("digits").build()))
        .isEqualTo(
            ModelMetadataResponse.newBuilder()
                .setName("digits")
                .addVersions("1")
                .setPlatform("onnxruntime_onnx")
                .addInputs(tensor("z", "FP32", -1L, LATENT))
                .addOutputs(tensor("image", "FP32", -1L, 1, 14, 14))
                .addOutputs(tensor("pixels", "UINT8", -1L, 14, 14, 1))
                .build());
    StatusRuntimeException unknown =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                stub.modelMetadata(
                    ModelMetadataRequest.newBuilder().setName("digits").setVersion("7").build()));
    assertThat(unknown.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND);
  }

  @Test
  void infer_ofRawAndTypedValues_givesTheSameImages() throws Exception {
    load();
    network.permit(10);
    float[] z = latents(3);
    ModelInferResponse all = stub.modelInfer(request(z).setId("call 7").build());
    assertThat(all.getModelName()).isEqualTo("digits");
    assertThat(all.getModelVersion()).isEqualTo("1");
    assertThat(all.getId()).isEqualTo("call 7");
    assertThat(all.getOutputsList())
        .extracting(output -> output.getName() + " " + output.getDatatype())
        .containsExactly("image FP32", "pixels UINT8");
    assertThat(all.getOutputs(0).getShapeList()).containsExactly(3L, 1L, 14L, 14L);
    assertThat(all.getOutputs(1).getShapeList()).containsExactly(3L, 14L, 14L, 1L);
    assertThat(all.getOutputsList()).noneMatch(output -> output.hasContents());
    assertThat(all.getRawOutputContents(0).size()).isEqualTo(3 * SIZE * 4);
    assertThat(all.getRawOutputContents(1).size()).isEqualTo(3 * SIZE);

    ModelInferRequest.Builder typed = request(z).clearRawInputContents();
    typed.getInputsBuilder(0).setContents(contents(z));
    ModelInferResponse swapped =
        stub.modelInfer(typed.addOutputs(output("pixels")).addOutputs(output("image")).build());
    assertThat(swapped.getOutputsList())
        .extracting(output -> output.getName())
        .containsExactly("pixels", "image");
    assertThat(swapped.getRawOutputContentsList())
        .containsExactly(all.getRawOutputContents(1), all.getRawOutputContents(0));

    ModelInferResponse pixels =
        stub.modelInfer(request(z).setModelVersion("1").addOutputs(output("pixels")).build());
    assertThat(pixels.getOutputsCount()).isEqualTo(1);
    assertThat(pixels.getRawOutputContents(0).byteAt(SIZE))
        .as("what this network makes of a latent's first value")
        .isEqualTo((byte) z[LATENT]);
    assertThat(sent("infer")).isEqualTo(9);
  }

  @Test
  void infer_ofWrongTensors_isRefused_withOneClearLine() throws IOException {
    load();
    float[] z = latents(2);
    assertInvalid(request(z).clearInputs(), "inputs", "0 inputs: expected one, 'z' FP32 [n, 8]");
    assertInvalid(
        request(z).addInputs(request(z).getInputs(0)),
        "inputs",
        "2 inputs: expected one, 'z' FP32 [n, 8]");
    assertInvalid(
        input(request(z), in -> in.setName("noise")),
        "inputs[0].name",
        "input 'noise': expected 'z' FP32 [n, 8]");
    assertInvalid(
        input(request(z), in -> in.setDatatype("FP64")),
        "inputs[0].datatype",
        "datatype 'FP64' of input 'z': expected FP32");
    for (List<Long> shape :
        List.of(
            List.of(2L), List.of(2L, 9L), List.of(0L, 8L), List.of(2L, 8L, 1L), List.of(-2L, 8L))) {
      assertInvalid(
          input(request(z), in -> in.clearShape().addAllShape(shape)),
          "inputs[0].shape",
          "shape %s of input 'z': expected [n, 8], n above 0".formatted(shape));
    }
    for (long n : List.of(1L, 3L, 1L << 60)) {
      assertInvalid(
          input(request(z), in -> in.setShape(0, n)),
          "inputs[0].shape",
          "shape [%d, 8] of input 'z', but 16 FP32 values: expected as many as the shape says"
              .formatted(n));
    }
    assertInvalid(
        input(request(z), in -> in.setContents(contents(z))),
        "raw_input_contents",
        "input 'z' has its values both in contents and in raw_input_contents: expected one");
    assertInvalid(
        request(z).addRawInputContents(ByteString.EMPTY),
        "raw_input_contents",
        "2 raw_input_contents of [64, 0] bytes: expected one, for input 'z', of 4 bytes a value");
    assertInvalid(
        request(z).setRawInputContents(0, ByteString.copyFrom(new byte[63])),
        "raw_input_contents",
        "1 raw_input_contents of [63] bytes: expected one, for input 'z', of 4 bytes a value");
    assertInvalid(
        request(z).clearRawInputContents(),
        "inputs[0].shape",
        "shape [2, 8] of input 'z', but 0 FP32 values: expected as many as the shape says");
    z[9] = Float.NaN;
    assertInvalid(request(z), "raw_input_contents", "value 9 is NaN: expected a finite number");
    z[9] = Float.NEGATIVE_INFINITY;
    ModelInferRequest.Builder typed = request(z).clearRawInputContents();
    assertInvalid(
        input(typed, in -> in.setContents(contents(z))),
        "inputs[0].contents",
        "value 9 is -Infinity: expected a finite number");
  }

  @Test
  void infer_forWrongOutputsOrVersions_isRefused_withOneClearLine() throws IOException {
    load();
    float[] z = latents(1);
    assertInvalid(
        request(z).addOutputs(output("image")).addOutputs(output("logits")),
        "outputs[1].name",
        "output 'logits': expected 'image' or 'pixels'");
    assertInvalid(
        request(z).addOutputs(output("image")).addOutputs(output("image")),
        "outputs[1].name",
        "output 'image' is requested twice");
    assertInvalid(
        request(z)
            .addOutputs(
                output("image").toBuilder()
                    .putParameters(
                        "shared_memory_region",
                        InferParameter.newBuilder().setStringParam("mine").build())),
        "outputs[0].parameters",
        "parameter 'shared_memory_region' is not supported here");
    for (String version : List.of("newest", "0", "-1", "1.0", "99999999999999999999")) {
      assertInvalid(
          request(z).setModelVersion(version),
          "model_version",
          "version '%s': expected a number above 0, or none for the one in service"
              .formatted(version));
    }
    assertThat(refusal(request(z).setModelVersion("2")).getStatus().getCode())
        .isEqualTo(Status.Code.NOT_FOUND);
    assertThat(refusal(request(z).setModelName("cats")).getStatus().getCode())
        .isEqualTo(Status.Code.NOT_FOUND);
  }

  @Test
  void infer_ofMoreThanAnAnswerHolds_isRefused_sayingHowManyFit() throws IOException {
    load();
    network.permit(1000);
    int fit = ((4 << 20) - 512) / (SIZE * 5);
    assertThat(stub.modelInfer(request(latents(fit)).build()).getSerializedSize())
        .isBetween((4 << 20) - 2000, 4 << 20);
    assertInvalid(
        request(latents(fit + 1)),
        "inputs[0].shape",
        "4280 latents exceed 4279 images of 14x14x1 as image and pixels in one response of at most 4194304 bytes; request fewer");
    assertInvalid(
        request(latents(fit)).setId("x".repeat(1000)),
        "inputs[0].shape",
        "4279 latents exceed 4278 images of 14x14x1 as image and pixels in one response of at most 4194304 bytes; request fewer");
    assertInvalid(
        request(latents(MAX_OF_CALLER + 1)).addOutputs(output("pixels")),
        "inputs[0].shape",
        "5001 latents exceed 5000 images of 14x14x1 as pixels in one response of at most 4194304 bytes; request fewer");
  }

  @Test
  void infer_withoutAModel_isUnavailable() {
    assertThat(refusal(request(latents(1))).getStatus().getCode())
        .isEqualTo(Status.Code.UNAVAILABLE);
  }

  @Test
  void infer_withAFullQueue_isRefused() throws Exception {
    load();
    Future<ModelInferResponse> running = later(1);
    network.awaitStarted();
    Future<ModelInferResponse> queued = later(4000);
    Future<ModelInferResponse> others = later(1000);
    watch.awaitQueued(MAX_OF_CALLER);
    assertThat(refusal(request(latents(1))).getStatus().getCode())
        .isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    network.permit(1000);
    running.get(30, TimeUnit.SECONDS);
    queued.get(30, TimeUnit.SECONDS);
    others.get(30, TimeUnit.SECONDS);
  }

  @Test
  void infer_thatIsCancelledOrTooLate_freesTheQueue() throws Exception {
    load();
    Future<ModelInferResponse> running = later(1);
    network.awaitStarted();
    Future<ModelInferResponse> queued = later(15);
    watch.awaitQueued(15);
    queued.cancel(true);
    watch.awaitQueued(0);

    StatusRuntimeException expired =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                stub.withDeadlineAfter(Duration.ofMillis(300))
                    .modelInfer(request(latents(15)).build()));
    assertThat(expired.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
    watch.awaitQueued(0);
    assertThat(running.isDone()).isFalse();
  }

  @Test
  void infer_thatFails_isInternal_withoutDetail() throws IOException {
    load();
    network.breakDown();
    network.permit(1);
    StatusRuntimeException failed = refusal(request(latents(1)));
    assertThat(failed.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(failed.getStatus().getDescription()).doesNotContain("broken");
    assertThat(sent("infer")).isZero();
  }

  private void load() throws IOException {
    ServedVersion model =
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "digits", 1, 1),
            Provider.CPU,
            List.of(network),
            GatedNetwork.TIMES,
            new BatchingPolicy(64, Duration.ZERO, MAX_QUEUE),
            watch);
    models.serve(model);
  }

  private boolean isReady() {
    return stub.serverReady(ServerReadyRequest.getDefaultInstance()).getReady();
  }

  private boolean isReady(String model, String version) {
    return stub.modelReady(
            ModelReadyRequest.newBuilder().setName(model).setVersion(version).build())
        .getReady();
  }

  private Future<ModelInferResponse> later(int count) {
    return GRPCInferenceServiceGrpc.newFutureStub(channel)
        .modelInfer(request(latents(count)).build());
  }

  @Test
  void messages_quoteLittleOfARequest() throws IOException {
    load();
    ModelInferRequest.Builder longName = request(new float[LATENT]);
    longName.getInputsBuilder(0).setName("a\n" + "b".repeat(100_000));
    ModelInferRequest.Builder longShape = request(new float[LATENT]);
    longShape.getInputsBuilder(0).addAllShape(LongStream.range(0, 10_000).boxed().toList());
    for (ModelInferRequest.Builder request : List.of(longName, longShape)) {
      StatusRuntimeException refused = refusal(request);
      assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
      assertThat(refused.getStatus().getDescription()).hasSizeLessThan(1000).hasLineCount(1);
    }
  }

  private void assertInvalid(ModelInferRequest.Builder request, String field, String line)
      throws IOException {
    StatusRuntimeException refused = refusal(request);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(refused.getStatus().getDescription()).isEqualTo(line);
    com.google.rpc.Status status = StatusProto.fromThrowable(refused);
    assertThat(status).isNotNull();
    assertThat(status.getDetails(0).unpack(BadRequest.class).getFieldViolations(0).getField())
        .isEqualTo(field);
  }

  private StatusRuntimeException refusal(ModelInferRequest.Builder request) {
    return catchThrowableOfType(
        StatusRuntimeException.class, () -> stub.modelInfer(request.build()));
  }

  private int sent(String format) {
    return sent.stream()
        .filter(result -> result.format().equals(format))
        .mapToInt(ImageResult::count)
        .sum();
  }

  private static float[] latents(int count) {
    float[] z = new float[count * LATENT];
    for (int i = 0; i < z.length; i++) {
      z[i] = i % 100;
    }
    return z;
  }

  private static ModelInferRequest.Builder request(float[] z) {
    ByteBuffer raw = ByteBuffer.allocate(z.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(z);
    return ModelInferRequest.newBuilder()
        .setModelName("digits")
        .addInputs(
            InferInputTensor.newBuilder()
                .setName("z")
                .setDatatype("FP32")
                .addShape(z.length / LATENT)
                .addShape(LATENT))
        .addRawInputContents(ByteString.copyFrom(raw));
  }

  private interface Edit {
    void of(InferInputTensor.Builder input);
  }

  private static ModelInferRequest.Builder input(ModelInferRequest.Builder request, Edit edit) {
    edit.of(request.getInputsBuilder(0));
    return request;
  }

  private static InferTensorContents contents(float[] z) {
    return InferTensorContents.newBuilder()
        .addAllFp32Contents(IntStream.range(0, z.length).mapToObj(i -> z[i]).toList())
        .build();
  }

  private static InferRequestedOutputTensor output(String name) {
    return InferRequestedOutputTensor.newBuilder().setName(name).build();
  }

  private static TensorMetadata tensor(String name, String datatype, long... shape) {
    TensorMetadata.Builder tensor = TensorMetadata.newBuilder().setName(name).setDatatype(datatype);
    for (long side : shape) {
      tensor.addShape(side);
    }
    return tensor.build();
  }
}
