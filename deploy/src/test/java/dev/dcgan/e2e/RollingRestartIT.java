package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.NameResolverRegistry;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Replaces replicas of the packaged sampler one by one, as Kubernetes does with {@code maxSurge: 1}
 * and {@code maxUnavailable: 0}: a new one is ready before an old one gets SIGTERM.
 */
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class RollingRestartIT {

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");
  private static final int IMAGES = 20_000; // 15 MB: more than a connection buffers.

  @TempDir private static Path folder;

  private final List<Replica> started = new ArrayList<>();
  private final List<ManagedChannel> channels = new ArrayList<>();

  /** A process and its stubs. */
  private record Replica(
      Program program,
      int port,
      SamplerServiceBlockingStub stub,
      Iterator<HealthCheckResponse> health) {

    /** Waits until the health service reports the status. */
    void await(ServingStatus status) {
      while (health.next().getStatus() != status) {}
    }
  }

  @BeforeAll
  static void train() throws Exception {
    Program.run(
        folder,
        List.of(
            TRAINER.toAbsolutePath().toString(),
            "train",
            "--images=200",
            "--epochs=1",
            "--width=4",
            "--latent=8",
            "--batch-size=50",
            "--evaluation-images=100",
            "--http-port=0"));
  }

  @AfterEach
  void close() {
    channels.forEach(ManagedChannel::shutdownNow);
    started.forEach(replica -> replica.program.close());
  }

  @Test
  void rollingRestart_underLoad_losesNoCall() throws Exception {
    Replica first = start("--drain-delay=2s");
    Replica second = start("--drain-delay=2s");
    Replicas replicas = new Replicas();
    replicas.add(first.port);
    replicas.add(second.port);
    NameResolverRegistry.getDefaultRegistry().register(replicas);
    ManagedChannel channel =
        Grpc.newChannelBuilder(Replicas.target(), InsecureChannelCredentials.create())
            .defaultLoadBalancingPolicy("round_robin")
            .disableServiceConfigLookUp()
            .build();
    channels.add(channel);

    try (Load load = new Load(channel, images(first.stub), IMAGES)) {
      load.awaitServed(first.port);
      load.awaitServed(second.port);

      Replica third = start();
      replicas.add(third.port);
      first.program.terminate();
      first.await(ServingStatus.NOT_SERVING);
      load.awaitServed(first.port); // It accepts calls during the drain delay.
      replicas.remove(first.port);
      assertThat(first.program.awaitExit()).as(first.program.output()).isZero();

      Replica fourth = start();
      replicas.add(fourth.port);
      second.program.terminate();
      second.await(ServingStatus.NOT_SERVING);
      load.awaitServed(second.port);
      // This time the client is not notified: it notices by its connection.
      assertThat(second.program.awaitExit()).as(second.program.output()).isZero();
      replicas.remove(second.port);

      load.awaitServed(third.port);
      load.awaitServed(fourth.port);
      load.end();
      assertThat(load.failures()).isEmpty();
      assertThat(load.streams()).isPositive();
    } finally {
      NameResolverRegistry.getDefaultRegistry().deregister(replicas);
    }
  }

  @Test
  void activeStream_endsBeforeTheProcess() throws Exception {
    Replica replica = start("--drain-delay=0", "--drain-grace=100s");
    ByteString whole = images(replica.stub);
    Iterator<GenerateResponse> stream = replica.stub.generateStream(raw(0, IMAGES));
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    stream.next().getPixels().writeTo(received);

    replica.program.terminate();
    awaitRefusal(replica.port);
    while (stream.hasNext()) {
      stream.next().getPixels().writeTo(received);
    }

    assertThat(received.toByteArray()).isEqualTo(whole.toByteArray());
    assertThat(replica.program.awaitExit()).as(replica.program.output()).isZero();
    assertThat(replica.program.output()).doesNotContain("cut off");
  }

  @Test
  void streamBeyondGrace_isCutOff_andResumesElsewhere() throws Exception {
    Replica replica = start("--drain-delay=0", "--drain-grace=0");
    Replica other = start();
    ByteString whole = images(other.stub);
    Iterator<GenerateResponse> stream = replica.stub.generateStream(raw(0, IMAGES));
    ByteArrayOutputStream received = new ByteArrayOutputStream();
    stream.next().getPixels().writeTo(received);

    replica.program.terminate();
    assertThat(replica.program.awaitExit()).as(replica.program.output()).isZero();
    assertThatThrownBy(
            () -> {
              while (stream.hasNext()) {
                stream.next().getPixels().writeTo(received);
              }
            })
        .isInstanceOf(StatusRuntimeException.class);

    int first = received.size() / (whole.size() / IMAGES);
    Iterator<GenerateResponse> rest = other.stub.generateStream(raw(first, IMAGES - first));
    while (rest.hasNext()) {
      rest.next().getPixels().writeTo(received);
    }
    assertThat(first).isLessThan(IMAGES);
    assertThat(received.toByteArray()).isEqualTo(whole.toByteArray());
  }

  /** Starts a replica and waits until it is ready. */
  private Replica start(String... options) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                SAMPLER.toAbsolutePath().toString(),
                "serve",
                "--repository=models",
                "--port=0",
                "--http-port=0"));
    command.addAll(List.of(options));
    Program program = Program.start(folder, command);
    int port = Integer.parseInt(program.awaitLine("gRPC on port (\\d+),").group(1));
    ManagedChannel channel =
        Grpc.newChannelBuilder("localhost:" + port, InsecureChannelCredentials.create()).build();
    channels.add(channel);
    Replica replica =
        new Replica(
            program,
            port,
            SamplerServiceGrpc.newBlockingStub(channel),
            HealthGrpc.newBlockingStub(channel)
                .watch(
                    HealthCheckRequest.newBuilder()
                        .setService(SamplerServiceGrpc.SERVICE_NAME)
                        .build()));
    started.add(replica);
    replica.await(ServingStatus.SERVING);
    return replica;
  }

  /** Images 0 to {@link #IMAGES}, with which every other response is compared. */
  private static ByteString images(SamplerServiceBlockingStub stub) {
    List<ByteString> chunks = new ArrayList<>();
    stub.generateStream(raw(0, IMAGES)).forEachRemaining(chunk -> chunks.add(chunk.getPixels()));
    return ByteString.copyFrom(chunks);
  }

  static GenerateRequest raw(int first, int count) {
    return GenerateRequest.newBuilder()
        .setSeed(7)
        .setFirstIndex(first)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }

  /** Waits until the process refuses connections. */
  private static void awaitRefusal(int port) throws InterruptedException {
    while (true) {
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
        assertThat(socket.isConnected()).isTrue();
      } catch (IOException e) {
        return;
      }
      TimeUnit.MILLISECONDS.sleep(10);
    }
  }
}
