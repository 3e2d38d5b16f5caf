package dev.dcgan.sampler.server;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.Pixels;
import dev.dcgan.trainer.gan.ClassEmbedding;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Small random conditional generators, 14 x 14 x 3 pixels: those of {@link TestModels} behind a
 * class embedding, which the latent is joined with.
 */
public final class ConditionalModels {

  public static final int LATENT = TestModels.LATENT;
  public static final ImageClasses PETS =
      new ImageClasses(List.of("cat", "2", "dog"), List.of(5L, 1L, 4L));

  private static final int EMBEDDING = 4;
  private static final int ROW = LATENT + EMBEDDING;

  private final GeneratorWeights weights;
  private final ImageClasses classes;

  /** The embeddings of the classes, (classes, EMBEDDING). */
  private final float[] embedding;

  private ConditionalModels(ImageClasses classes, long seed) {
    Random random = new Random(-seed);
    this.classes = classes;
    List<Layer> layers = TestModels.weights(ROW, 3, 64, 32, seed).layers();
    this.embedding = new float[classes.size() * EMBEDDING];
    for (int i = 0; i < embedding.length; i++) {
      embedding[i] = (float) (2 * random.nextGaussian());
    }
    this.weights =
        new GeneratorWeights(
            "test",
            LATENT,
            new ImageShape(14, 14, 3),
            new ClassEmbedding(classes.size(), EMBEDDING, embedding),
            layers);
  }

  /** Publishes the next version of a model with {@link #PETS}. */
  public static ModelBundle publish(ModelRepository repository, String name, long seed)
      throws IOException {
    return publish(repository, name, PETS, seed);
  }

  public static ModelBundle publish(
      ModelRepository repository, String name, ImageClasses classes, long seed) throws IOException {
    ConditionalModels model = new ConditionalModels(classes, seed);
    return repository.publish(model.manifest(name), TestModels.onnx(model.weights));
  }

  public static byte[] onnx(long seed) throws IOException {
    return TestModels.onnx(new ConditionalModels(PETS, seed).weights);
  }

  public static ModelManifest manifest(String name, long seed) {
    return new ConditionalModels(PETS, seed).manifest(name);
  }

  /** The images of latents and labels, or mixtures, by plain loops: uint8 (n, h, w, c). */
  public static byte[] images(long seed, float[] latents, long... labels) {
    return new ConditionalModels(PETS, seed).images(latents, labels);
  }

  private byte[] images(float[] latents, long... labels) {
    float[] all = new float[labels.length * ROW];
    for (int i = 0; i < labels.length; i++) {
      System.arraycopy(latents, i * LATENT, all, i * ROW, LATENT);
      int from = (int) (labels[i] % classes.size());
      int to = (int) (labels[i] / classes.size() % classes.size());
      long step = labels[i] / classes.size() / classes.size();
      float share = step / (float) Labels.MIXTURE_STEPS;
      for (int k = 0; k < EMBEDDING; k++) {
        float start = embedding[from * EMBEDDING + k];
        float end = embedding[to * EMBEDDING + k];
        all[i * ROW + LATENT + k] = start + share * (end - start);
      }
    }
    return Pixels.of(TestModels.images(weights, all, labels.length), weights.shape());
  }

  private ModelManifest manifest(String name) {
    List<GoldenVector> golden = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      float[] z = Latents.of(9, i, LATENT);
      int label = classes.draw(9, i);
      golden.add(
          GoldenVector.newBuilder()
              .setSeed(9)
              .setIndex(i)
              .setLatent(ByteString.copyFrom(ModelBundle.littleEndian(z)))
              .setLabel(label)
              .setPixels(ByteString.copyFrom(images(z, label)))
              .build());
    }
    return TestModels.manifest(name, weights, golden).toBuilder()
        .addAllClasses(classes.toProto())
        .setLabelScheme(Labels.SCHEME)
        .build();
  }
}
