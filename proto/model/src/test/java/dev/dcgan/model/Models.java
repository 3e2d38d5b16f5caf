package dev.dcgan.model;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import java.nio.charset.StandardCharsets;

/** Drafts of small models to publish. */
final class Models {

  static final byte[] ONNX = "not read by the repository".getBytes(StandardCharsets.UTF_8);

  private static final ImageShape SHAPE = new ImageShape(2, 3, 1);
  private static final int LATENT_SIZE = 5;

  private Models() {}

  /** Returns a complete draft for {@link ModelRepository#publish}. */
  static ModelManifest.Builder draft(String name) {
    return ModelManifest.newBuilder()
        .setModel(ModelVersion.newBuilder().setName(name))
        .setOnnxOpset(17)
        .setArchitecture("mnist28")
        .setShape(SHAPE.toProto())
        .setLatentSize(LATENT_SIZE)
        .setLatentScheme(Latents.SCHEME)
        .setPixelQuantization(ModelBundle.PIXEL_QUANTIZATION)
        .putQuality("d_loss", 0.69)
        .addGolden(golden(1, 0))
        .addGolden(golden(-1, 7))
        .setPixelTolerance(1);
  }

  private static GoldenVector golden(long seed, long index) {
    return GoldenVector.newBuilder()
        .setSeed(seed)
        .setIndex(index)
        .setLatent(
            ByteString.copyFrom(
                ModelBundle.littleEndian(Latents.of(seed, index, LATENT_SIZE)).array()))
        .setPixels(ByteString.copyFrom(new byte[SHAPE.values()]))
        .build();
  }
}
