package dev.dcgan.speed;

import com.google.protobuf.UnsafeByteOperations;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ModelVersion;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** The cost of an image besides inference: its latent, its PNG and its message. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class PartsBenchmark {

  private static final ImageShape GREY = new ImageShape(28, 28, 1);
  private static final ImageShape RGB = new ImageShape(64, 64, 3);

  private final float[] z = new float[64];
  private final byte[] digit = digit();
  private final byte[] photo = photo();
  private final ModelVersion version =
      ModelVersion.newBuilder().setName("mnist28").setVersion(1).setSha256("0".repeat(64)).build();
  private long index;

  @Benchmark
  public float[] latentOf64() {
    Latents.fill(1, index++, z, 0, z.length);
    return z;
  }

  @Benchmark
  public byte[] pngOfADigit() {
    return ImageEncoder.png(GREY, digit, 0);
  }

  @Benchmark
  public byte[] pngOf64By64Rgb() {
    return ImageEncoder.png(RGB, photo, 0);
  }

  /** Includes building and serialization. */
  @Benchmark
  public byte[] rawMessageOfOneImage() {
    return GenerateResponse.newBuilder()
        .setModel(version)
        .setShape(GREY.toProto())
        .setFirstIndex(index++)
        .setCount(1)
        .setProvider("cpu")
        .setPixels(UnsafeByteOperations.unsafeWrap(digit))
        .build()
        .toByteArray();
  }

  /** A ring with soft edges on black. */
  private static byte[] digit() {
    byte[] pixels = new byte[GREY.values()];
    for (int i = 0; i < pixels.length; i++) {
      double distance = Math.hypot(i % 28 - 13.5, i / 28.0 - 13.5);
      pixels[i] = (byte) Math.max(0, 255 - 60 * Math.abs(distance - 8) * Math.abs(distance - 8));
    }
    return pixels;
  }

  private static byte[] photo() {
    byte[] pixels = new byte[RGB.values()];
    for (int i = 0; i < pixels.length; i++) {
      int x = i / 3 % 64;
      int y = i / 192;
      pixels[i] = (byte) (128 + 90 * Math.sin((x + 2 * y) / 9.0 + i % 3) + (i * 7919L % 11));
    }
    return pixels;
  }
}
