package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.e2e.Program;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Calls a sampler at twice its capacity while its memory is limited. */
@ExtendWith(FaultTable.class)
class FloodFaults {

  private static final int HEAP_MEGABYTES = 128;
  private static final int DIRECT_MEGABYTES = 128;
  private static final int LIMIT_MEGABYTES = 512;
  // Beside what the flags allow: the code and the threads of the JVM and of ONNX Runtime, the model
  // and the values of its runs. Far below the limit, so that it is not the limit that is measured.
  private static final int MAX_RSS_MEGABYTES = HEAP_MEGABYTES + DIRECT_MEGABYTES + 128;
  private static final int CONNECTIONS = 4;
  private static final Duration MEASURING = Duration.ofSeconds(5);

  @TempDir private static Path folder;

  @Test
  @DisplayName("flood of twice the capacity, 128 MiB of heap, 512 MiB in all")
  void flood(FaultRow row) throws Exception {
    row.checked("every call answered or refused, same bytes; memory bounded; no work left");
    Programs.run(
        folder,
        Programs.trainer(
            "train",
            "--preset=mnist28",
            "--images=200",
            "--held-out=0.2",
            "--epochs=1",
            "--width=64",
            "--batch-size=40",
            "--evaluation-images=100",
            "--model=" + SmallModels.NAME,
            "--http-port=0"));
    ByteString images;
    try (Service undisturbed = Service.sampler(folder, "--repository=models")) {
      undisturbed.program().awaitLine("serving " + SmallModels.NAME + "/1 ");
      images = CheckedCalls.images(undisturbed.channel(), SmallModels.NAME, 1);
    }
    List<String> command =
        new ArrayList<>(
            List.of(
                "env",
                "JAVA_OPTS=-Xmx%dm -XX:MaxDirectMemorySize=%dm"
                    .formatted(HEAP_MEGABYTES, DIRECT_MEGABYTES)));
    command.addAll(Programs.sampler("serve", "--repository=models", "--max-queue-images=2048"));

    Random random = FaultSettings.random("flood");
    List<ManagedChannel> channels = new ArrayList<>();
    try (ControlGroup group = ControlGroup.withMemory(LIMIT_MEGABYTES);
        Service sampler = Service.start(folder, group.run(command))) {
      sampler.program().awaitLine("serving " + SmallModels.NAME + "/1 ");
      int port = sampler.grpcPort();
      Stream.generate(() -> channel(port)).limit(CONNECTIONS).forEach(channels::add);

      double unused = new Flood(channels, images, random).capacity(32, MEASURING); // Warms up.
      double capacity = new Flood(channels, images, random).capacity(32, MEASURING);
      Flood flood = new Flood(channels, images, random);
      Duration time = FaultSettings.share(0.1);
      try (MemorySampler memory = new MemorySampler(sampler.program())) {
        row.count();
        double before = endedSoon(sampler);
        flood.run(capacity, time);
        double soon = endedSoon(sampler) - before;
        // Answered calls have waited for the queue, which is full, for longer than that.
        row.result(
            "%.2f %% of the refusals within 5 ms by the server's own metric",
            100 * Math.min(1, soon / flood.count(Status.Code.RESOURCE_EXHAUSTED)));
        row.result("RSS %d to %d MiB", memory.least(), memory.most());
        assertThat(memory.most()).isLessThan(MAX_RSS_MEGABYTES);
      }
      row.result(
          "%d s; capacity %.0f calls/s of %d images; answered %d, refused %d",
          time.toSeconds(),
          capacity,
          Flood.COUNT,
          flood.count(Status.Code.OK),
          flood.count(Status.Code.RESOURCE_EXHAUSTED));
      row.result(
          "refusals within %.1f ms (median), %.1f ms (99 %%), answers within %.0f ms (median), at"
              + " the client",
          flood.millis(Status.Code.RESOURCE_EXHAUSTED, 0.5),
          flood.millis(Status.Code.RESOURCE_EXHAUSTED, 0.99),
          flood.millis(Status.Code.OK, 0.5));

      assertThat(flood.wrong()).isZero();
      assertThat(flood.codes()).containsOnlyKeys(Status.Code.OK, Status.Code.RESOURCE_EXHAUSTED);
      // Both wait for processors, which the clients and other programs take as well. A refusal
      // does not wait for the queue, which it is compared with, because 5 ms are no bound here.
      assertThat(flood.millis(Status.Code.RESOURCE_EXHAUSTED, 0.5))
          .as("median of the refusals, ms")
          .isLessThan(flood.millis(Status.Code.OK, 0.5) / 5);
      assertThat(CheckedCalls.images(sampler.channel(), SmallModels.NAME, 1)).isEqualTo(images);
      for (String work :
          List.of("sampler_queued_images", "sampler_response_bytes", "grpc_server_in_flight")) {
        Service.await("end of " + work, () -> sampler.metric(work) == 0);
      }
      Program program = sampler.program();
      assertThat(program.output()).doesNotContain("ERROR", "OutOfMemory");
    } finally {
      channels.forEach(ManagedChannel::shutdownNow);
    }
  }

  /** Calls that the server has ended within 5 ms. */
  private static double endedSoon(Service sampler) throws IOException, InterruptedException {
    return sampler.metric(
        "grpc_server_handling_seconds_bucket", "grpc_method=\"Generate\"", "le=\"0.005\"");
  }

  private static ManagedChannel channel(int port) {
    return Grpc.newChannelBuilder("localhost:" + port, InsecureChannelCredentials.create()).build();
  }
}
