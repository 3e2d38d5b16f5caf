package dev.dcgan.sampler.cli.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class ResponseReaderTest {

  private static final long FIRST = 1L << 62;

  @Test
  void raw_mustHaveThePixelsOfCountAndShape() throws IOException {
    GenerateResponse response = FakeSampler.images(FIRST, 300).build();
    assertThat(read(ImageFormat.IMAGE_FORMAT_RAW, response))
        .isEqualTo(new ResponseSummary(FIRST, 300, response.getSerializedSize(), null));
    assertThat(problem(ImageFormat.IMAGE_FORMAT_RAW, response.toBuilder().setCount(301).build()))
        .isEqualTo("1800 bytes of pixels; expected 1806");
  }

  @Test
  void floats_areFourBytesEach() throws IOException {
    GenerateResponse.Builder response = FakeSampler.images(0, 2).clearPixels();
    assertThat(problem(ImageFormat.IMAGE_FORMAT_FLOAT, response.setFloats(zeros(48)).build()))
        .isNull();
    assertThat(problem(ImageFormat.IMAGE_FORMAT_FLOAT, response.setFloats(zeros(12)).build()))
        .isEqualTo("12 bytes of floats; expected 48");
  }

  @Test
  void pngs_areCounted() throws IOException {
    GenerateResponse.Builder response =
        FakeSampler.images(0, 2).clearPixels().addPng(zeros(200)).addPng(zeros(1));
    assertThat(problem(ImageFormat.IMAGE_FORMAT_PNG, response.build())).isNull();
    assertThat(problem(ImageFormat.IMAGE_FORMAT_PNG, response.addPng(zeros(9)).build()))
        .isEqualTo("3 PNGs; expected 2");
  }

  @Test
  void sheet_isOne() throws IOException {
    GenerateResponse.Builder response = FakeSampler.images(0, 2).clearPixels();
    assertThat(problem(ImageFormat.IMAGE_FORMAT_SHEET, response.build()))
        .isEqualTo("0 sheets; expected 1");
    assertThat(problem(ImageFormat.IMAGE_FORMAT_SHEET, response.setSheet(zeros(70)).build()))
        .isNull();
  }

  @Test
  void fieldsOfLaterVersions_areSkipped() throws IOException {
    UnknownFieldSet later =
        UnknownFieldSet.newBuilder()
            .addField(
                1000,
                UnknownFieldSet.Field.newBuilder()
                    .addVarint(-1)
                    .addFixed32(1)
                    .addFixed64(2)
                    .addLengthDelimited(zeros(300))
                    .build())
            .build();
    GenerateResponse response = FakeSampler.images(7, 2).setUnknownFields(later).build();
    assertThat(read(ImageFormat.IMAGE_FORMAT_RAW, response))
        .isEqualTo(new ResponseSummary(7, 2, response.getSerializedSize(), null));
  }

  @Test
  void truncatedMessage_isAnError() {
    byte[] whole = FakeSampler.images(7, 2).build().toByteArray();
    byte[] cut = Arrays.copyOf(whole, whole.length - 1);
    ResponseReader reader = new ResponseReader(ImageFormat.IMAGE_FORMAT_RAW);
    assertThatIOException().isThrownBy(() -> reader.read(new ByteArrayInputStream(cut)));
  }

  private static ResponseSummary read(ImageFormat format, GenerateResponse response)
      throws IOException {
    return new ResponseReader(format).read(new ByteArrayInputStream(response.toByteArray()));
  }

  private static @Nullable String problem(ImageFormat format, GenerateResponse response)
      throws IOException {
    return read(format, response).problem();
  }

  private static ByteString zeros(int bytes) {
    return ByteString.copyFrom(new byte[bytes]);
  }
}
