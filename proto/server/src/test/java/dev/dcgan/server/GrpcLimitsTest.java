package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Keepalive pings, from a client that knows just enough HTTP/2 (RFC 9113) to send them. */
@Timeout(60)
class GrpcLimitsTest {

  private static final int DATA = 0;
  private static final int HEADERS = 1;
  private static final int SETTINGS = 4;
  private static final int PING = 6;
  private static final int GOAWAY = 7;
  private static final int WINDOW_UPDATE = 8;
  private static final int ACK = 1;
  private static final int END_STREAM = 1;
  private static final int END_HEADERS = 4;
  private static final int INITIAL_WINDOW_SIZE = 4;
  private static final int ENHANCE_YOUR_CALM = 11;

  private record Frame(int type, int flags, ByteString payload) {}

  @Test
  void byDefault_pingsOfEverySecondHaveRoomForJitter() {
    assertThat(GrpcLimits.DEFAULT.permitKeepalive()).isBetween(millis(1), millis(500));
  }

  @Test
  void pingsWithoutCalls_areAnswered() throws IOException {
    try (Client client = new Client(new GrpcLimits(Duration.ZERO, 8 << 10))) {
      for (int i = 0; i < 100; i++) {
        client.ping();
      }
    }
  }

  @Test
  void pingsMoreOftenThanPermitted_endTheConnection() throws IOException {
    try (Client client = new Client(new GrpcLimits(Duration.ofHours(1), 8 << 10))) {
      for (int i = 0; i < 4; i++) {
        client.send(PING, 0, 0, new byte[8]);
      }
      ByteString goAway = client.await(GOAWAY).payload;
      assertThat(goAway.byteAt(7)).isEqualTo((byte) ENHANCE_YOUR_CALM);
      assertThat(goAway.substring(8).toStringUtf8()).isEqualTo("too_many_pings");
    }
  }

  @Test
  void streamWhoseReaderPauses_survivesItsPings() throws IOException {
    try (Client client = new Client(new GrpcLimits(Duration.ZERO, 8 << 10))) {
      client.send(HEADERS, END_HEADERS, 1, headers("/dcgan.v1.SamplerService/Generate"));
      byte[] request = FakeSampler.request(7).toByteArray();
      ByteArrayOutputStream message = new ByteArrayOutputStream();
      DataOutputStream prefixed = new DataOutputStream(message);
      prefixed.writeByte(0);
      prefixed.writeInt(request.length);
      prefixed.write(request);
      client.send(DATA, END_STREAM, 1, message.toByteArray());
      for (int i = 0; i < 100; i++) {
        client.ping();
      }
      client.send(WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 1, 0});
      assertThat(client.await(DATA).payload.size()).isGreaterThan(5);
    }
  }

  /** A server, and a connection whose streams have no room for data. */
  private static final class Client implements AutoCloseable {

    private final GrpcServer server;
    private final Socket socket;
    private final OutputStream out;
    private final DataInputStream in;

    Client(GrpcLimits limits) throws IOException {
      server =
          GrpcServer.start(
              new GrpcServer.Config(0, false, Duration.ZERO, null, limits),
              new PrometheusRegistry(),
              new ServingState(),
              new FakeSampler(),
              List.of());
      socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
      out = socket.getOutputStream();
      in = new DataInputStream(socket.getInputStream());
      out.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      send(SETTINGS, 0, 0, new byte[] {0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0});
      send(SETTINGS, ACK, 0, new byte[0]);
    }

    /** Sends a ping and waits for its acknowledgement. */
    void ping() throws IOException {
      send(PING, 0, 0, new byte[8]);
      while (true) {
        Frame frame = await(PING);
        if (frame.flags == ACK) {
          return;
        }
        send(PING, ACK, 0, frame.payload.toByteArray()); // The server measures its bandwidth.
      }
    }

    /** The next frame of a type; fails at one that ends the connection. */
    Frame await(int type) throws IOException {
      while (true) {
        int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
        int found = in.readUnsignedByte();
        int flags = in.readUnsignedByte();
        in.readInt(); // The stream.
        Frame frame = new Frame(found, flags, ByteString.copyFrom(in.readNBytes(length)));
        if (found == type) {
          return frame;
        }
        assertThat(found).isNotEqualTo(GOAWAY);
      }
    }

    void send(int type, int flags, int stream, byte[] payload) throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream frame = new DataOutputStream(bytes);
      frame.writeByte(payload.length >> 16);
      frame.writeShort(payload.length);
      frame.writeByte(type);
      frame.writeByte(flags);
      frame.writeInt(stream);
      frame.write(payload);
      out.write(bytes.toByteArray());
    }

    @Override
    public void close() throws IOException {
      socket.close();
      server.close();
    }
  }

  /** The headers of a call (HPACK, RFC 7541): indexed, or literals without Huffman coding. */
  private static byte[] headers(String path) throws IOException {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    block.write(0x83); // :method POST
    block.write(0x86); // :scheme http
    literal(block, 0x44, path); // :path
    literal(block, 0x41, "localhost"); // :authority
    literal(block, 0x5f, "application/grpc"); // content-type
    literal(block, 0x40, "te");
    string(block, "trailers");
    return block.toByteArray();
  }

  private static void literal(ByteArrayOutputStream block, int name, String text)
      throws IOException {
    block.write(name);
    string(block, text);
  }

  private static void string(ByteArrayOutputStream block, String text) throws IOException {
    block.write(text.length());
    block.write(text.getBytes(StandardCharsets.US_ASCII));
  }

  private static Duration millis(long millis) {
    return Duration.ofMillis(millis);
  }
}
