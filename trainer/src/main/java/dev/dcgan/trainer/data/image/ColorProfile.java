package dev.dcgan.trainer.data.image;

import java.awt.color.ColorSpace;
import java.awt.color.ICC_Profile;
import java.awt.image.ColorConvertOp;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Converts colors to sRGB by ICC profiles, with the JDK's color management. One rule for all
 * formats, that of browsers: a profile of the image's own color space is applied; one that is
 * damaged, or of another color space, is ignored. Thread-safe.
 */
final class ColorProfile {

  private static final ICC_Profile SRGB = ICC_Profile.getInstance(ColorSpace.CS_sRGB);
  // Many files carry sRGB under many names: images of a profile that changes no color by more than
  // this keep their bytes.
  private static final int SRGB_TOLERANCE = 2;
  private static final int PROBES = 6; // per component
  private static final int MAX_CACHED = 64;
  // Most datasets have few profiles, and each costs a parse. Empty: nothing to convert.
  private static final Map<ByteBuffer, Optional<ICC_Profile>> CACHE = new ConcurrentHashMap<>();

  private ColorProfile() {}

  /**
   * Converts an image to sRGB.
   *
   * @param image of 1 (grey), 3 (RGB) or 4 channels (CMYK, 0 for no ink)
   * @return grey or RGB
   */
  static Bitmap toSrgb(Bitmap image, byte @Nullable [] profile) {
    Optional<ICC_Profile> usable =
        profile == null ? Optional.empty() : usable(profile, image.channels());
    if (usable.isPresent()) {
      byte[] pixels = convert(usable.get(), image.pixels(), image.channels());
      Bitmap rgb = new Bitmap(image.width(), image.height(), 3, pixels);
      return image.channels() == 1 ? rgb.withChannels(1) : rgb;
    }
    return image.channels() == 4 ? inksToRgb(image) : image;
  }

  private static Optional<ICC_Profile> usable(byte[] bytes, int channels) {
    if (CACHE.size() >= MAX_CACHED) {
      CACHE.clear();
    }
    // The number of channels is part of the key: behind the profile's bytes.
    ByteBuffer key = ByteBuffer.allocate(bytes.length + 1).put(bytes).put((byte) channels).flip();
    return CACHE.computeIfAbsent(key, unused -> parse(bytes, channels));
  }

  private static Optional<ICC_Profile> parse(byte[] bytes, int channels) {
    try {
      ICC_Profile profile = ICC_Profile.getInstance(bytes);
      int space =
          switch (channels) {
            case 1 -> ColorSpace.TYPE_GRAY;
            case 3 -> ColorSpace.TYPE_RGB;
            default -> ColorSpace.TYPE_CMYK;
          };
      boolean ofADevice =
          switch (profile.getProfileClass()) {
            case ICC_Profile.CLASS_INPUT,
                ICC_Profile.CLASS_DISPLAY,
                ICC_Profile.CLASS_OUTPUT,
                ICC_Profile.CLASS_COLORSPACECONVERSION ->
                true;
            default -> false;
          };
      return ofADevice && profile.getColorSpaceType() == space && changesColors(profile, channels)
          ? Optional.of(profile)
          : Optional.empty();
    } catch (RuntimeException e) {
      return Optional.empty(); // The JDK has several exceptions for what is damaged.
    }
  }

  private static boolean changesColors(ICC_Profile profile, int channels) {
    int count = (int) Math.pow(PROBES, channels);
    byte[] probes = new byte[count * channels];
    for (int i = 0; i < count; i++) {
      for (int channel = 0, rest = i; channel < channels; channel++, rest /= PROBES) {
        probes[i * channels + channel] = (byte) (rest % PROBES * 255 / (PROBES - 1));
      }
    }
    byte[] converted = convert(profile, probes, channels);
    for (int i = 0; i < converted.length; i++) {
      int original = probes[channels == 1 ? i / 3 : channels == 3 ? i : 0] & 0xFF;
      if (Math.abs((converted[i] & 0xFF) - original) > SRGB_TOLERANCE) {
        return true;
      }
    }
    return false;
  }

  private static byte[] convert(ICC_Profile profile, byte[] samples, int channels) {
    int count = samples.length / channels;
    byte[] rgb = new byte[count * 3];
    // Not kept: an operation is not thread-safe.
    new ColorConvertOp(new ICC_Profile[] {profile, SRGB}, null)
        .filter(raster(samples, count, channels), raster(rgb, count, 3));
    return rgb;
  }

  private static WritableRaster raster(byte[] samples, int count, int channels) {
    int[] bands = new int[channels];
    for (int i = 0; i < channels; i++) {
      bands[i] = i;
    }
    DataBuffer buffer = new DataBufferByte(samples, samples.length);
    return Raster.createInterleavedRaster(
        buffer, count, 1, count * channels, channels, bands, null);
  }

  /** Without a profile: light is what no ink takes away. */
  private static Bitmap inksToRgb(Bitmap image) {
    byte[] inks = image.pixels();
    byte[] rgb = new byte[inks.length / 4 * 3];
    for (int i = 0; i < rgb.length; i++) {
      int ink = inks[i / 3 * 4 + i % 3] & 0xFF;
      int black = inks[i / 3 * 4 + 3] & 0xFF;
      rgb[i] = (byte) (((255 - ink) * (255 - black) + 127) / 255);
    }
    return new Bitmap(image.width(), image.height(), 3, rgb);
  }
}
