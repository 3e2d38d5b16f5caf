package dev.dcgan.trainer.tensorboard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.UnknownFieldSet;
import com.google.protobuf.UnknownFieldSet.Field;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecordFileTest {

  @TempDir private Path folder;

  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("records");
  }

  @Test
  void append_whenTheDiskIsFull_keepsEarlierRecordsAndContinues() throws IOException {
    Disk disk = new Disk(file);
    try (RecordFile records = new RecordFile(disk)) {
      records.append(message(1));
      disk.room = 20;
      assertThatIOException()
          .isThrownBy(() -> records.append(message(2)))
          .withMessage("No space left on device");

      assertThat(EventFileReader.read(file)).extracting(RecordFileTest::number).containsExactly(1L);
      disk.room = Integer.MAX_VALUE;
      records.append(message(3));
    }

    assertThat(EventFileReader.read(file))
        .extracting(RecordFileTest::number)
        .containsExactly(1L, 3L);
  }

  @Test
  void append_whenTheThreadIsInterrupted_stillWrites() throws IOException {
    try (RecordFile records = RecordFile.create(file)) {
      Thread.currentThread().interrupt();
      records.append(message(1));
      records.append(message(2));
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }

    assertThat(EventFileReader.read(file)).hasSize(2);
  }

  @Test
  void create_whereThereIsAFile_refusesAndLeavesIt() throws IOException {
    Files.writeString(file, "another's");

    assertThatThrownBy(() -> RecordFile.create(file))
        .isInstanceOf(FileAlreadyExistsException.class);
    assertThat(file).hasContent("another's");
  }

  /** The test's own CRC, by the vectors of RFC 3720, appendix B.4, whose bytes stand reversed. */
  @Test
  void crcOfTheReader_isThatOfTheRfc() {
    byte[] ones = HexFormat.of().parseHex("ff".repeat(32));
    byte[] ascending = new byte[32];
    for (int i = 0; i < 32; i++) {
      ascending[i] = (byte) i;
    }

    assertThat(EventFileReader.crc32c(new byte[32])).isEqualTo(0x8A9136AA);
    assertThat(EventFileReader.crc32c(ones)).isEqualTo(0x62A8AB43);
    assertThat(EventFileReader.crc32c(ascending)).isEqualTo(0x46DD794E);
    assertThat(EventFileReader.crc32c("123456789".getBytes(StandardCharsets.US_ASCII)))
        .isEqualTo(0xE3069283);
  }

  private static byte[] message(long number) {
    return UnknownFieldSet.newBuilder()
        .addField(2, Field.newBuilder().addVarint(number).build())
        .addField(3, Field.newBuilder().addFixed64(-1).build())
        .build()
        .toByteArray();
  }

  private static long number(UnknownFieldSet message) {
    return message.getField(2).getVarintList().get(0);
  }

  /** A file on a disk with room for so many more bytes. */
  private static final class Disk extends RandomAccessFile {

    private int room = Integer.MAX_VALUE;

    Disk(Path file) throws IOException {
      super(file.toFile(), "rw");
    }

    @Override
    public void write(byte[] bytes) throws IOException {
      int fits = Math.min(room, bytes.length);
      write(bytes, 0, fits);
      room -= fits;
      if (fits < bytes.length) {
        throw new IOException("No space left on device");
      }
    }
  }
}
