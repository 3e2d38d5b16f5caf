package dev.dcgan.trainer.tensorboard;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardFileTest {

  private static final Clock CLOCK = at(1_700_000_000_250L);

  @TempDir private Path folder;

  @Test
  void open_namesTheFileByTheTime_andBeginsItWithVersionAndStart() throws IOException {
    TensorBoardFile.open(folder.resolve("made"), 0, CLOCK).close();

    List<Path> files = files(folder.resolve("made"));
    assertThat(files)
        .extracting(file -> file.getFileName().toString())
        .containsExactly("events.out.tfevents.1700000000.trainer.v2");
    List<UnknownFieldSet> events = EventFileReader.read(files.get(0));
    assertThat(events).hasSize(2);
    assertThat(text(events.get(0), 3)).isEqualTo("brain.Event:2");
    assertThat(wallTime(events.get(0))).isEqualTo(1_700_000_000.25);
    assertThat(number(message(events.get(1), 7), 1)).as("START").isEqualTo(1);
    assertThat(number(events.get(1), 2)).isEqualTo(1);
  }

  @Test
  void scalar_isReadBack_whateverItsValue() throws IOException {
    try (TensorBoardFile file = TensorBoardFile.open(folder, 0, CLOCK)) {
      file.scalar("loss/generator", 1, 0.1);
      file.scalar("loss/größe", Long.MAX_VALUE, Double.NaN);
      file.scalar("loss/generator", 0, 1e300);
    }

    List<UnknownFieldSet> events = events();
    assertThat(events).hasSize(3);
    assertScalar(events.get(0), "loss/generator", 1, 0.1f);
    assertScalar(events.get(1), "loss/größe", Long.MAX_VALUE, Float.NaN);
    assertScalar(events.get(2), "loss/generator", 0, Float.POSITIVE_INFINITY);
  }

  @Test
  void scalar_isInTheFileBeforeItIsClosed() throws IOException {
    try (TensorBoardFile file = TensorBoardFile.open(folder, 0, CLOCK)) {
      file.scalar("a", 1, 2);

      assertScalar(events().get(0), "a", 1, 2);
    }
  }

  @Test
  void image_isReadBack_pixelForPixel() throws IOException {
    BufferedImage image = new BufferedImage(31, 17, BufferedImage.TYPE_INT_RGB);
    image.setRGB(30, 16, 0x123456);
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    ImageIO.write(image, "png", png);
    try (TensorBoardFile file = TensorBoardFile.open(folder, 0, CLOCK)) {
      file.image("samples", 468, png.toByteArray(), 31, 17);
    }

    UnknownFieldSet event = events().get(0);
    UnknownFieldSet value = message(message(event, 5), 1);
    UnknownFieldSet summary = message(value, 4);
    BufferedImage read = ImageIO.read(new ByteArrayInputStream(bytes(summary, 4).toByteArray()));
    assertThat(number(event, 2)).isEqualTo(468);
    assertThat(text(value, 1)).isEqualTo("samples");
    assertThat(number(summary, 1)).isEqualTo(read.getHeight()).isEqualTo(17);
    assertThat(number(summary, 2)).isEqualTo(read.getWidth()).isEqualTo(31);
    assertThat(number(summary, 3)).as("RGB").isEqualTo(3);
    assertThat(read.getRGB(30, 16)).isEqualTo(0xFF123456);
  }

  @Test
  void scalar_withADescription_hasItAsMetadata() throws IOException {
    try (TensorBoardFile file = TensorBoardFile.open(folder, 0, CLOCK)) {
      file.scalar("quality/frechet_distance", 5, 2.5, "Not comparable.");
    }

    List<UnknownFieldSet> events = EventFileReader.read(files(folder).get(0));
    UnknownFieldSet value = message(message(events.get(events.size() - 1), 5), 1);
    assertThat(text(message(value, 9), 3)).isEqualTo("Not comparable.");
  }

  @Test
  void open_ofARunResumed_startsAnotherFile_fromTheStepAfter() throws IOException {
    TensorBoardFile.open(folder, 0, CLOCK).close();
    TensorBoardFile.open(folder, 468, at(1_700_000_100_000L)).close();

    List<Path> files = files(folder);
    assertThat(files).hasSize(2);
    UnknownFieldSet start = EventFileReader.read(files.get(1)).get(1);
    assertThat(number(start, 2)).isEqualTo(469);
    assertThat(number(message(start, 7), 1)).as("START").isEqualTo(1);
  }

  @Test
  void open_withTheClockSetBack_sortsAfterEarlierFiles() throws IOException {
    Files.createFile(folder.resolve("events.out.tfevents.of-another-program"));
    TensorBoardFile.open(folder, 0, CLOCK).close();
    TensorBoardFile.open(folder, 1, CLOCK).close();
    TensorBoardFile.open(folder, 2, at(0)).close();

    List<Long> starts = new ArrayList<>();
    for (Path file : files(folder).subList(0, 3)) {
      starts.add(number(EventFileReader.read(file).get(1), 2));
    }
    assertThat(starts).containsExactly(1L, 2L, 3L);
  }

  private static Clock at(long millis) {
    return Clock.fixed(Instant.ofEpochMilli(millis), ZoneOffset.UTC);
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.sorted().toList();
    }
  }

  /** The only file's events, less the two that begin it. */
  private List<UnknownFieldSet> events() throws IOException {
    List<UnknownFieldSet> all = EventFileReader.read(files(folder).get(0));
    return all.subList(2, all.size());
  }

  private static void assertScalar(UnknownFieldSet event, String tag, long step, float value)
      throws IOException {
    UnknownFieldSet summary = message(message(event, 5), 1);
    assertThat(number(event, 2)).isEqualTo(step);
    assertThat(text(summary, 1)).isEqualTo(tag);
    assertThat(Float.intBitsToFloat(summary.getField(2).getFixed32List().get(0)))
        .isEqualTo(Float.valueOf(value));
  }

  private static double wallTime(UnknownFieldSet event) {
    return Double.longBitsToDouble(event.getField(1).getFixed64List().get(0));
  }

  private static long number(UnknownFieldSet message, int field) {
    return message.getField(field).getVarintList().get(0);
  }

  private static ByteString bytes(UnknownFieldSet message, int field) {
    return message.getField(field).getLengthDelimitedList().get(0);
  }

  private static String text(UnknownFieldSet message, int field) {
    return bytes(message, field).toStringUtf8();
  }

  private static UnknownFieldSet message(UnknownFieldSet message, int field)
      throws InvalidProtocolBufferException {
    return UnknownFieldSet.parseFrom(bytes(message, field));
  }
}
