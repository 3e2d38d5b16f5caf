package dev.dcgan.sampler.models;

import static dev.dcgan.sampler.graph.OnnxModels.ints;
import static dev.dcgan.sampler.graph.OnnxModels.number;
import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.sampler.graph.OnnxModels;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.trainer.gan.GeneratorWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models that someone who can write to the repository made against the sampler. */
class UntrustedModelsTest {

  private static final Duration POLL = Duration.ofMillis(10);
  private static final long IMAGE = 14 * 14;

  @TempDir private Path root;

  private final BlockingQueue<String> served = new LinkedBlockingQueue<>();
  private final BlockingQueue<Integer> overdue = new LinkedBlockingQueue<>();
  private final Map<String, CountDownLatch> stuck = new ConcurrentHashMap<>();
  private final Map<String, GatedNetwork> late = new ConcurrentHashMap<>();
  private final Semaphore looks = new Semaphore(0);
  private @Nullable ModelWatcher watcher;

  @AfterEach
  void end() throws InterruptedException {
    stuck.values().forEach(CountDownLatch::countDown);
    if (watcher != null) {
      watcher.close();
      assertThat(watcher.awaitClosed(Duration.ofSeconds(60))).isTrue();
      assertThat(watcher.models().close(Duration.ofSeconds(30))).isTrue();
    }
  }

  @Test
  void endlessLoop_isRefused_andOthersAreServed() throws Exception {
    publish("cats", 1);
    publish("digits", 1);
    publish("digits", endlessLoop());
    bare("dogs", endlessLoop());
    publish("faces", 1);

    ModelRegistry models = watch(Duration.ofMinutes(5));

    assertThat(List.of(nextServed(), nextServed(), nextServed()))
        .containsExactly("cats/1", "digits/1", "faces/1");
    publish("digits", 3);
    assertThat(nextServed()).isEqualTo("digits/3");
    awaitLooks(4);
    assertThat(reasons(models)).containsOnlyKeys("digits/2", "dogs/1");
    assertThat(reasons(models).values()).allMatch(reason -> reason.contains("subgraph"));
  }

  @Test
  void smallFileThatNeedsGigabytes_isRefused() throws Exception {
    byte[] big =
        generator(
            graph ->
                graph
                    .longs("shape", 1, 600, 1000, 1000)
                    .node("ConstantOfShape", "shape", "big")
                    .node("ReduceMax", "big", "more", number("keepdims", 0)));
    assertThat(big).hasSizeLessThan(8000);
    publish("digits", 1);
    publish("digits", big);
    bare("dogs", big);

    ModelRegistry models = watch(Duration.ofMinutes(5));

    assertThat(nextServed()).isEqualTo("digits/1");
    awaitLooks(4);
    assertThat(reasons(models)).containsOnlyKeys("digits/2", "dogs/1");
    assertThat(reasons(models).values())
        .allMatch(reason -> reason.contains("(ConstantOfShape)"))
        .allMatch(reason -> reason.contains("expected at most 1073741824"));
  }

  @Test
  void loadThatDoesNotEnd_leavesTheOthersServed() throws Exception {
    publish("cats", 1);
    publish("digits", 1);
    publish("digits", 2);
    publish("faces", 1);
    CountDownLatch end = new CountDownLatch(1);
    stuck.put("digits/2", end);

    ModelRegistry models = watch(Duration.ofSeconds(3));

    assertThat(List.of(nextServed(), nextServed(), nextServed()))
        .containsExactlyInAnyOrder("cats/1", "digits/1", "faces/1");
    awaitOverdue(1);
    awaitLooks(4);
    assertThat(reasons(models)).containsOnlyKeys("digits/2");
    assertThat(reasons(models).get("digits/2")).contains("cannot be loaded now");
    publish("digits", 3);
    assertThat(nextServed()).isEqualTo("digits/3");

    end.countDown();
    awaitOverdue(0);
    assertThat(Objects.requireNonNull(late.get("digits/2")).awaitClosed())
        .as("what came too late is closed")
        .isTrue();
  }

  @Test
  void modelThatIsSlowToRun_isTerminated() throws Exception {
    byte[] slow =
        generator(
            graph -> {
              graph
                  .longs("shape", 1500, 1500)
                  .node("ReduceMean", "z", "m", number("keepdims", 0))
                  .node("Expand", "m shape", "y0");
              for (int i = 0; i < 400; i++) {
                graph.node("MatMul", "y%1$d y%1$d".formatted(i), "y" + (i + 1));
              }
              graph.node("ReduceMax", "y400", "more", number("keepdims", 0));
            });
    publish("cats", 1);
    publish("digits", slow);

    watch(Duration.ofMillis(1500));

    assertThat(nextServed()).isEqualTo("cats/1");
    awaitOverdue(1);
    awaitOverdue(0);
  }

  /** A generator that also runs {@code z} through a loop without end. */
  private static byte[] endlessLoop() throws IOException {
    OnnxModels body = new OnnxModels();
    GraphProto.Builder inner = body.node("Identity", "go", "on").graph();
    inner.clearInput().addInput(scalar("i", DataType.INT64)).addInput(scalar("go", DataType.BOOL));
    inner.clearOutput().addOutput(scalar("on", DataType.BOOL));
    return generator(
        graph -> {
          graph
              .graph()
              .addInitializer(
                  ai.onnx.proto.OnnxMl.TensorProto.newBuilder()
                      .setName("true")
                      .setDataType(DataType.BOOL.getNumber())
                      .addInt32Data(1));
          graph.node(
              "Loop",
              " true",
              "",
              AttributeProto.newBuilder()
                  .setName("body")
                  .setType(AttributeProto.AttributeType.GRAPH)
                  .setG(inner));
          graph.node("ReduceMean", "z", "more", number("keepdims", 0));
        });
  }

  private static ValueInfoProto scalar(String name, DataType type) {
    ValueInfoProto.Builder info = ValueInfoProto.newBuilder().setName(name);
    info.getTypeBuilder().getTensorTypeBuilder().setElemType(type.getNumber()).getShapeBuilder();
    return info.build();
  }

  private interface Attack {
    void addTo(OnnxModels graph);
  }

  /** Images (N, 1, 14, 14) and pixels of z, to which the attack adds its value {@code more}. */
  private static byte[] generator(Attack attack) {
    OnnxModels graph = new OnnxModels(TestModels.LATENT);
    attack.addTo(graph);
    graph
        .longs("side", 0, 1, 14, 14)
        .floats("w", List.of((long) TestModels.LATENT, IMAGE), 0.01f)
        .node("MatMul", "z w", "flat")
        .node("Add", "flat more", "sum")
        .node("Tanh", "sum", "bounded")
        .node("Reshape", "bounded side", "image")
        .node("Cast", "image", "bytes", number("to", DataType.UINT8.getNumber()))
        .node("Transpose", "bytes", "pixels", ints("perm", 0, 2, 3, 1))
        .output("image", 1, 14, 14)
        .output("pixels", 14, 14, 1);
    graph
        .graph()
        .getOutputBuilder(1)
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .setElemType(DataType.UINT8.getNumber());
    return graph.model(17);
  }

  private void publish(String model, long seed) throws IOException {
    TestModels.publish(new ModelRepository(root), model, 1, seed);
  }

  private void publish(String model, byte[] onnx) throws IOException {
    GeneratorWeights weights = TestModels.weights(1, 1);
    new ModelRepository(root)
        .publish(TestModels.manifest(model, weights, TestModels.golden(weights)), onnx);
  }

  private void bare(String model, byte[] onnx) throws IOException {
    Path folder = Files.createDirectories(root.resolve(model).resolve("1"));
    Files.write(folder.resolve("model.onnx"), onnx);
  }

  private ModelRegistry watch(Duration loadTimeout) {
    ModelWatcher started =
        new ModelWatcher(
            new ModelWatcherConfig(
                new ModelRepository(root),
                List.of(),
                POLL,
                1,
                0,
                1,
                false,
                true,
                loadTimeout,
                RuntimeSettings.DEFAULT_ACTIVATION_BYTES),
            this::load,
            new NoModelListener() {
              @Override
              public void serving(ServedVersion model, @Nullable ServedVersion before) {
                served.add(model.toString());
              }

              @Override
              public void overdueLoads(int loads) {
                overdue.add(loads);
              }
            });
    watcher = started;
    started.start(looks::release);
    return started.models();
  }

  private ServedVersion load(ModelBundle bundle) throws IOException {
    BatchingPolicy policy = new BatchingPolicy(4, Duration.ZERO, 16);
    CountDownLatch end = stuck.get(bundle.toString());
    if (end == null) {
      return ServedVersion.open(
          bundle,
          new RuntimeSettings(Provider.CPU, 1, false, 0),
          1,
          policy,
          new QueueWatch(),
          RunGuard.unwatched(RuntimeFailure::of));
    }
    try {
      end.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    GatedNetwork network = new GatedNetwork(TestModels.LATENT, (int) IMAGE);
    late.put(bundle.toString(), network);
    return ServedVersion.start(
        bundle, Provider.CPU, List.of(network), GatedNetwork.TIMES, policy, new QueueWatch());
  }

  private String nextServed() throws InterruptedException {
    String next = served.poll(60, TimeUnit.SECONDS);
    assertThat(next).isNotNull();
    return String.valueOf(next);
  }

  private void awaitLooks(int count) throws InterruptedException {
    looks.drainPermits();
    assertThat(looks.tryAcquire(count, 60, TimeUnit.SECONDS)).isTrue();
  }

  private void awaitOverdue(int expected) throws InterruptedException {
    Integer found;
    do {
      found = overdue.poll(60, TimeUnit.SECONDS);
      assertThat(found).isNotNull();
    } while (found == null || found != expected);
  }

  private static Map<String, String> reasons(ModelRegistry models) {
    return models.skipped().stream()
        .collect(Collectors.toMap(skipped -> skipped.path().toString(), Skipped::reason));
  }
}
