package dev.dcgan.server;

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
import org.jspecify.annotations.Nullable;

/**
 * A client that sends whatever HTTP/2 frames (RFC 9113) a test wants, on a connection whose streams
 * have no room for data.
 */
final class Http2Client implements AutoCloseable {

  static final int DATA = 0;
  static final int HEADERS = 1;
  static final int PRIORITY = 2;
  static final int RST_STREAM = 3;
  static final int SETTINGS = 4;
  static final int PING = 6;
  static final int GOAWAY = 7;
  static final int WINDOW_UPDATE = 8;
  static final int ACK = 1;
  static final int END_STREAM = 1;
  static final int END_HEADERS = 4;
  static final int ENHANCE_YOUR_CALM = 11;

  private static final int INITIAL_WINDOW_SIZE = 4;

  record Frame(int type, int flags, int stream, ByteString payload) {}

  private final @Nullable GrpcServer server;
  private final Socket socket;
  private final OutputStream out;
  private final DataInputStream in;

  private Http2Client(@Nullable GrpcServer server, int port, String from) throws IOException {
    this.server = server;
    socket =
        new Socket(InetAddress.getLoopbackAddress(), port, InetAddress.getAllByName(from)[0], 0);
    out = socket.getOutputStream();
    in = new DataInputStream(socket.getInputStream());
    out.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    send(SETTINGS, 0, 0, new byte[] {0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0});
    send(SETTINGS, ACK, 0, new byte[0]);
  }

  /** Connects to a server. */
  static Http2Client connect(int port, String from) throws IOException {
    return new Http2Client(null, port, from);
  }

  /** Connects to a server of its own, which is closed with the client. */
  static Http2Client withServer(GrpcLimits limits, FloodLimits floods, PrometheusRegistry registry)
      throws IOException {
    GrpcServer server = server(limits, floods, registry);
    return new Http2Client(server, server.port(), "127.0.0.1");
  }

  static GrpcServer server(GrpcLimits limits, FloodLimits floods, PrometheusRegistry registry)
      throws IOException {
    return server(limits, floods, registry, new FakeSampler());
  }

  static GrpcServer server(
      GrpcLimits limits, FloodLimits floods, PrometheusRegistry registry, FakeSampler sampler)
      throws IOException {
    return GrpcServer.start(
        new GrpcServer.Config(0, false, Duration.ZERO, null, limits),
        floods,
        registry,
        new ServingState(),
        sampler,
        List.of());
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
      Frame frame = next();
      if (frame.type == type) {
        return frame;
      }
      if (frame.type == GOAWAY) {
        throw new IOException("disconnected: " + frame.payload.substring(8).toStringUtf8());
      }
    }
  }

  private Frame next() throws IOException {
    int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
    int type = in.readUnsignedByte();
    int flags = in.readUnsignedByte();
    int stream = in.readInt();
    return new Frame(type, flags, stream, ByteString.copyFrom(in.readNBytes(length)));
  }

  /** Waits until the server has closed the connection. */
  void awaitClosed() {
    try {
      while (true) {
        next();
      }
    } catch (IOException e) {
      return; // The end, or a reset.
    }
  }

  void send(int type, int flags, int stream, byte[] payload) throws IOException {
    write(frame(type, flags, stream, payload));
  }

  void write(byte[] bytes) throws IOException {
    out.write(bytes);
  }

  static byte[] frame(int type, int flags, int stream, byte[] payload) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream frame = new DataOutputStream(bytes);
    frame.writeByte(payload.length >> 16);
    frame.writeShort(payload.length);
    frame.writeByte(type);
    frame.writeByte(flags);
    frame.writeInt(stream);
    frame.write(payload);
    return bytes.toByteArray();
  }

  @Override
  public void close() throws IOException {
    socket.close();
    if (server != null) {
      server.close();
    }
  }

  /** A message of gRPC, or its beginning. */
  static byte[] message(int length, byte[] bytes) throws IOException {
    ByteArrayOutputStream message = new ByteArrayOutputStream();
    DataOutputStream prefixed = new DataOutputStream(message);
    prefixed.writeByte(0);
    prefixed.writeInt(length);
    prefixed.write(bytes);
    return message.toByteArray();
  }

  /** The headers of a call (HPACK, RFC 7541): indexed, or literals without Huffman coding. */
  static byte[] headers(String path) throws IOException {
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
}
