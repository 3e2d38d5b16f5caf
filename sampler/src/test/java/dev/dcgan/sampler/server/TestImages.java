package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import java.awt.image.Raster;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;

/** From PNGs back to pixels, uint8 HWC, by the JDK's own decoder. */
final class TestImages {

  private static final int GAP = 2;

  private TestImages() {}

  static ByteString ofPng(ByteString png) throws IOException {
    Raster raster = ImageIO.read(png.newInput()).getRaster();
    return pixels(raster, 0, 0, raster.getWidth());
  }

  /** The tiles of a sheet of square images, whose size is checked too. */
  static ByteString ofSheet(ByteString sheet, int side, int count, int columns) throws IOException {
    Raster raster = ImageIO.read(sheet.newInput()).getRaster();
    assertThat(raster.getWidth()).isEqualTo(GAP + Math.min(count, columns) * (side + GAP));
    assertThat(raster.getHeight()).isEqualTo(GAP + (count + columns - 1) / columns * (side + GAP));
    List<ByteString> tiles = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      tiles.add(
          pixels(raster, GAP + i % columns * (side + GAP), GAP + i / columns * (side + GAP), side));
    }
    return ByteString.copyFrom(tiles);
  }

  private static ByteString pixels(Raster raster, int x, int y, int side) {
    int[] values = raster.getPixels(x, y, side, side, (int[]) null);
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return ByteString.copyFrom(bytes);
  }
}
