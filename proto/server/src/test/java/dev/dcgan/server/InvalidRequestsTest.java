package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.CodedOutputStream;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Requests that no message of the method could be, over a real connection. */
@Timeout(60)
class InvalidRequestsTest {

  private static final byte[] BAD_UTF8 = {0x2a, 2, (byte) 0xc3, (byte) 0x28}; // model
  private static final byte[] TRUNCATED = {0x2a, 100, 'a'};
  private static final byte[] WRONG_WIRE_TYPE = {0x0f};

  private static final int FLOOD = 50_000;
  private static final int CONCURRENT = 200;

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final CapturedLog log = new CapturedLog(InvalidRequests.class);
  private final CapturedLog faults = new CapturedLog(FaultBarrier.class);
  private GrpcServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws IOException {
    server = GrpcServer.start(0, new FakeSampler(), registry);
    connect();
  }

  private void connect() {
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.close();
    log.close();
    faults.close();
  }

  @Test
  void invalidMessages_areInvalidArguments_loggedOnce() {
    for (int i = 0; i < 100; i++) {
      for (byte[] invalid : new byte[][] {BAD_UTF8, TRUNCATED, WRONG_WIRE_TYPE}) {
        Status status = call(channel, CallOptions.DEFAULT, invalid);
        assertThat(status.getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
        assertThat(status.getDescription())
            .startsWith("cannot parse the request: ")
            .hasLineCount(1);
      }
    }
    assertThat(log.lines()).hasSize(1).first().asString().contains("dcgan.v1.SamplerService");
    assertThat(faults.lines()).isEmpty();
    assertThat(handled("INVALID_ARGUMENT", 300)).isEqualTo(300);
    assertThat(call(channel, CallOptions.DEFAULT, new byte[0]).isOk()).isTrue();
  }

  @Test
  void floodOfInvalidMessages_isRefusedAndLoggedOnce() throws Exception {
    long start = System.nanoTime();
    Semaphore concurrent = new Semaphore(CONCURRENT);
    Map<Status.Code, LongAdder> codes = new ConcurrentHashMap<>();
    for (int i = 0; i < FLOOD; i++) {
      concurrent.acquire();
      ClientCalls.asyncUnaryCall(
          channel.newCall(bytes(SamplerServiceGrpc.getGenerateMethod()), CallOptions.DEFAULT),
          i % 2 == 0 ? BAD_UTF8 : TRUNCATED,
          new StreamObserver<byte[]>() {
            @Override
            public void onNext(byte[] response) {}

            @Override
            public void onError(Throwable failure) {
              ended(Status.fromThrowable(failure).getCode());
            }

            @Override
            public void onCompleted() {
              ended(Status.Code.OK);
            }

            private void ended(Status.Code code) {
              codes.computeIfAbsent(code, unknown -> new LongAdder()).increment();
              concurrent.release();
            }
          });
    }
    concurrent.acquire(CONCURRENT);
    assertThat(codes).containsOnlyKeys(Status.Code.INVALID_ARGUMENT);
    assertThat(codes.values().stream().mapToLong(LongAdder::sum).sum()).isEqualTo(FLOOD);
    assertThat(handled("INVALID_ARGUMENT", FLOOD)).isEqualTo(FLOOD);
    int minutes = (int) TimeUnit.NANOSECONDS.toMinutes(System.nanoTime() - start);
    assertThat(log.lines()).as("one line a minute").hasSizeBetween(1, 1 + minutes);
    assertThat(faults.lines()).isEmpty();
    assertThat(call(channel, CallOptions.DEFAULT, new byte[0]).isOk()).isTrue();
  }

  @Test
  void invalidMessages_ofAStream_areInvalidArguments() {
    byte[] symbol = {0x22, 2, (byte) 0xc3, (byte) 0x28};
    for (int i = 0; i < 3; i++) {
      Status status =
          call(
              channel,
              CallOptions.DEFAULT,
              ServerReflectionGrpc.getServerReflectionInfoMethod(),
              symbol);
      assertThat(status.getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    }
    assertThat(handled("INVALID_ARGUMENT", 3)).as("not CANCELLED").isEqualTo(3);
    assertThat(log.lines()).hasSize(1);
    assertThat(faults.lines()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"identity", "gzip"})
  void largeMessages_areResourceExhausted(String encoding) {
    CallOptions options =
        encoding.equals("gzip") ? CallOptions.DEFAULT.withCompression("gzip") : CallOptions.DEFAULT;
    for (int i = 0; i < 3; i++) {
      Status status = call(channel, options, unknownField(GrpcServer.MAX_REQUEST_BYTES));
      assertThat(status.getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    }
    assertThat(handled("RESOURCE_EXHAUSTED", 3)).isEqualTo(3);
    assertThat(log.lines()).hasSize(1).first().asString().contains("RESOURCE_EXHAUSTED");
    assertThat(faults.lines()).isEmpty();
    assertThat(call(channel, options, unknownField(GrpcServer.MAX_REQUEST_BYTES - 100)).isOk())
        .isTrue();
  }

  @Test
  void metadata_isLimited() {
    assertThat(call(withMetadata(4 << 10), CallOptions.DEFAULT, new byte[0]).isOk()).isTrue();
    assertThat(call(withMetadata(8 << 10), CallOptions.DEFAULT, new byte[0]).isOk()).isFalse();
  }

  @Test
  void metadataLimit_isAnOption() throws IOException {
    server.close();
    channel.shutdownNow();
    server =
        GrpcServer.start(
            new GrpcServer.Config(
                0, true, Duration.ZERO, null, new GrpcLimits(Duration.ofMinutes(5), 32 << 10)),
            new PrometheusRegistry(),
            new ServingState(),
            new FakeSampler(),
            List.of());
    connect();
    assertThat(call(withMetadata(30 << 10), CallOptions.DEFAULT, new byte[0]).isOk()).isTrue();
    assertThat(call(withMetadata(32 << 10), CallOptions.DEFAULT, new byte[0]).isOk()).isFalse();
  }

  private Channel withMetadata(int size) {
    Metadata metadata = new Metadata();
    metadata.put(Metadata.Key.of("x-test", Metadata.ASCII_STRING_MARSHALLER), "a".repeat(size));
    return ClientInterceptors.intercept(
        channel, MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  private static Status call(Channel channel, CallOptions options, byte[] request) {
    return call(channel, options, SamplerServiceGrpc.getGenerateMethod(), request);
  }

  private static Status call(
      Channel channel, CallOptions options, MethodDescriptor<?, ?> method, byte[] request) {
    StatusRuntimeException failure =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () -> ClientCalls.blockingUnaryCall(channel, bytes(method), options, request));
    return failure == null ? Status.OK : failure.getStatus();
  }

  private static MethodDescriptor<byte[], byte[]> bytes(MethodDescriptor<?, ?> method) {
    return method.toBuilder(new Bytes(), new Bytes()).build();
  }

  /** A valid request of the given size plus a few bytes. */
  private static byte[] unknownField(int size) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      CodedOutputStream out = CodedOutputStream.newInstance(bytes);
      out.writeByteArray(1000, new byte[size]);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  /** A call is counted just after its status was sent. */
  private long handled(String code, long expected) {
    long start = System.nanoTime();
    long count;
    do {
      count =
          registry.scrape().stream()
              .filter(metric -> metric.getMetadata().getName().equals("grpc_server_handled"))
              .flatMap(metric -> metric.getDataPoints().stream())
              .filter(point -> code.equals(point.getLabels().get("grpc_code")))
              .mapToLong(
                  point -> (long) ((CounterSnapshot.CounterDataPointSnapshot) point).getValue())
              .sum();
    } while (count < expected && System.nanoTime() - start < TimeUnit.SECONDS.toNanos(20));
    return count;
  }

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {

    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
