package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.trainer.torch.SafetensorsFile.Content;
import dev.dcgan.trainer.torch.SafetensorsFile.StoredTensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 2);
  private static final int MAX_CHUNK = 4 << 20;

  @TempDir private Path folder;

  @Test
  void write_above2GiB_placesTensorsByTheirLongOffsets() throws IOException {
    long first = (1L << 29) + 1; // 2 GiB and one value
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("first", new Zeros(first));
    tensors.put("second", new Zeros(3));
    CountingChannel channel = new CountingChannel();

    FORMAT.write(channel, new Content(Map.of(), tensors));

    long values = 4 * first + 12;
    assertThat(channel.header())
        .contains("\"data_offsets\":[0,%d]".formatted(4 * first))
        .contains("\"data_offsets\":[%d,%d]".formatted(4 * first, values));
    assertThat(channel.size).isEqualTo(8 + channel.header().length() + values);
    assertThat(channel.largest).isLessThanOrEqualTo(MAX_CHUNK);
  }

  @Test
  void storedTensor_above2GiB_isReadWhereItLies() throws IOException {
    Path file = folder.resolve("sparse");
    long start = (3L << 30) + 5;
    long index = (1L << 29) + 7;
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer value = littleEndian(4).putFloat(42).flip();
      assertThat(channel.write(value, start + 4 * index)).isEqualTo(4);
    }
    StoredTensor tensor = new StoredTensor(file, Files.size(file), start, new long[] {1L << 30});
    ByteBuffer into = littleEndian(8);

    tensor.read(index - 1, into);

    assertThat(into.getFloat(0)).isZero();
    assertThat(into.getFloat(4)).isEqualTo(42);
    assertThatThrownBy(() -> tensor.read(index, into.clear()))
        .isInstanceOf(DamagedFileException.class)
        .hasMessageContaining(file.toString());
  }

  @Test
  void write_whenATensorCannotBeRead_leavesTheOldFileAlone() throws IOException {
    Path file = folder.resolve("a.safetensors");
    FORMAT.write(file, new Content(Map.of(), Map.of("a", HostTensor.of(new long[] {1}, 1))));
    byte[] before = Files.readAllBytes(file);

    assertThatThrownBy(
            () -> FORMAT.write(file, new Content(Map.of(), Map.of("a", new Unreadable()))))
        .hasMessage("device lost");

    assertThat(Files.readAllBytes(file)).isEqualTo(before);
    try (var entries = Files.list(folder)) {
      assertThat(entries).containsExactly(file);
    }
  }

  @Test
  void read_holdsNoValues_butReadsThemWhenAsked() throws IOException {
    Path file = folder.resolve("a.safetensors");
    FORMAT.write(file, new Content(Map.of(), Map.of("a", HostTensor.of(new long[] {2}, 1, 2))));

    Tensor tensor = Objects.requireNonNull(FORMAT.read(file).tensors().get("a"));

    ByteBuffer into = littleEndian(4);
    tensor.read(1, into);
    assertThat(into.getFloat(0)).isEqualTo(2);
    Files.delete(file);
    assertThatThrownBy(() -> tensor.read(0, into.clear())).isInstanceOf(IOException.class);
  }

  private static ByteBuffer littleEndian(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** So many zeros. */
  private record Zeros(long size) implements Tensor {

    @Override
    public long[] shape() {
      return new long[] {size};
    }

    @Override
    public void read(long first, ByteBuffer into) {
      assertThat(first + into.remaining() / Float.BYTES).isLessThanOrEqualTo(size);
      into.position(into.limit());
    }
  }

  private record Unreadable() implements Tensor {

    @Override
    public long[] shape() {
      return new long[] {1};
    }

    @Override
    public void read(long first, ByteBuffer into) throws IOException {
      throw new IOException("device lost");
    }
  }

  /** Counts what is written, and keeps what is written at the beginning. */
  private static final class CountingChannel extends FileChannel {

    private final ByteBuffer beginning = littleEndian(4096);
    private long position;
    private long size;
    private int largest;

    String header() {
      byte[] json = new byte[(int) beginning.getLong(0)];
      beginning.get(8, json);
      return new String(json, StandardCharsets.UTF_8);
    }

    @Override
    public int write(ByteBuffer bytes) {
      int n = bytes.remaining();
      largest = Math.max(largest, n);
      if (position < beginning.capacity()) {
        int kept = (int) Math.min(n, beginning.capacity() - position);
        beginning.put((int) position, bytes, bytes.position(), kept);
      }
      bytes.position(bytes.limit());
      position += n;
      size = Math.max(size, position);
      return n;
    }

    @Override
    public long position() {
      return position;
    }

    @Override
    public FileChannel position(long newPosition) {
      position = newPosition;
      return this;
    }

    @Override
    public long size() {
      return size;
    }

    @Override
    public int read(ByteBuffer into) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long read(ByteBuffer[] into, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long write(ByteBuffer[] bytes, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel truncate(long newSize) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void force(boolean metadata) {}

    @Override
    public long transferTo(long from, long count, WritableByteChannel target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long at, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int read(ByteBuffer into, long at) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer bytes, long at) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long at, long length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock lock(long at, long length, boolean shared) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock tryLock(long at, long length, boolean shared) {
      throw new UnsupportedOperationException();
    }

    @Override
    protected void implCloseChannel() {}
  }
}
