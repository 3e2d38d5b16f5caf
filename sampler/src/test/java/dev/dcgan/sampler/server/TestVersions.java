package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.FailingNetwork;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Versions in service without ONNX Runtime, to parse requests for: one of each kind. */
public final class TestVersions {

  private static final int LATENT = 8;
  private static final long SEED = 1;
  private static final int MAX_IMAGES = 3;

  /** One without classes, grey; one with three classes, in color. */
  public static final List<ServedVersion> ALL = open();

  private TestVersions() {}

  private static List<ServedVersion> open() {
    try {
      Path root = Files.createTempDirectory("models");
      try {
        ModelRepository models = new ModelRepository(root);
        return List.of(
            serve(models, manifest("digits", new ImageShape(14, 14, 1))),
            serve(
                models,
                manifest("pets", new ImageShape(14, 14, 3))
                    .addAllClasses(ConditionalModels.PETS.toProto())
                    .setLabelScheme(Labels.SCHEME)));
      } finally {
        delete(root);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ModelManifest.Builder manifest(String name, ImageShape shape) {
    float[] latent = Latents.of(SEED, 0, LATENT);
    return ModelManifest.newBuilder()
        .setModel(ModelVersion.newBuilder().setName(name))
        .setShape(shape.toProto())
        .setLatentSize(LATENT)
        .setLatentScheme(Latents.SCHEME)
        .setPixelQuantization(ModelBundle.PIXEL_QUANTIZATION)
        .addGolden(
            GoldenVector.newBuilder()
                .setSeed(SEED)
                .setLabel(name.equals("pets") ? ConditionalModels.PETS.draw(SEED, 0) : 0)
                .setLatent(ByteString.copyFrom(ModelBundle.littleEndian(latent)))
                .setPixels(ByteString.copyFrom(new byte[shape.values()])));
  }

  /** The repository does not open the model, and nothing runs it. */
  private static ServedVersion serve(ModelRepository models, ModelManifest.Builder manifest)
      throws IOException {
    ModelBundle bundle = models.publish(manifest.build(), new byte[] {1});
    return ServedVersion.start(
        bundle,
        Provider.CPU,
        List.of(new FailingNetwork(LATENT, bundle.shape().values())),
        GatedNetwork.TIMES,
        new BatchingPolicy(64, Duration.ZERO, 4096),
        new QueueWatch());
  }

  private static void delete(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /**
   * Requires that a valid request has images, each with a finite latent, and a label if need be.
   */
  public static void requireImages(ImageRequest request, ServedVersion version) {
    assertThat(request.count()).isPositive();
    assertThat(request.count() % request.countPerSeed()).isZero();
    int size = version.latentSize();
    int count = (int) Math.min(request.count(), MAX_IMAGES);
    for (long first : new long[] {0, request.count() - count}) {
      for (float value : request.source().latents(first, count, size)) {
        assertThat(value).isFinite();
      }
      long[] labels = request.labels().labels(first, count);
      assertThat(labels).hasSize(version.classes().isPresent() ? count : 0);
      for (long label : labels) {
        assertThat(label).isNotNegative();
      }
    }
  }
}
