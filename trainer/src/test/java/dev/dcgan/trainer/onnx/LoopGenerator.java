package dev.dcgan.trainer.onnx;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.ClassEmbedding;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.BatchNorm;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.gan.ImageGenerator;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** The generator as plain loops in double, batch normalization unfolded: what the model must do. */
record LoopGenerator(GeneratorWeights weights) implements ImageGenerator<float[]> {

  /** The layers of mnist28, narrow, with random weights and statistics. */
  static LoopGenerator grey() {
    Random random = new Random(28);
    return new LoopGenerator(
        new GeneratorWeights(
            "mnist28",
            8,
            new ImageShape(28, 28, 1),
            null,
            List.of(
                layer(random, 8, 6, 3, 2, 0, true),
                layer(random, 6, 5, 4, 1, 0, true),
                layer(random, 5, 4, 3, 2, 0, true),
                layer(random, 4, 1, 4, 2, 0, false))));
  }

  /** As {@link #grey}, with classes. */
  static LoopGenerator conditional(int classes) {
    Random random = new Random(29);
    return new LoopGenerator(
        new GeneratorWeights(
            "mnist28",
            8,
            new ImageShape(28, 28, 1),
            new ClassEmbedding(classes, 3, normals(random, 3 * classes, 0, 1)),
            List.of(
                layer(random, 11, 6, 3, 2, 0, true),
                layer(random, 6, 5, 4, 1, 0, true),
                layer(random, 5, 4, 3, 2, 0, true),
                layer(random, 4, 1, 4, 2, 0, false))));
  }

  /** Three channels, padding, and a latent size that no vector width divides. */
  static LoopGenerator color() {
    Random random = new Random(16);
    return new LoopGenerator(
        new GeneratorWeights(
            "paper16",
            7,
            new ImageShape(16, 16, 3),
            null,
            List.of(
                layer(random, 7, 6, 4, 1, 0, true),
                layer(random, 6, 5, 4, 2, 1, true),
                layer(random, 5, 3, 4, 2, 1, false))));
  }

  private static Layer layer(
      Random random, int in, int out, int kernel, int stride, int padding, boolean norm) {
    float[] weight = normals(random, in * out * kernel * kernel, 0, 0.4f);
    float[] bias = normals(random, out, 0, 0.5f);
    return new Layer(
        in, out, kernel, stride, padding, weight, bias, norm ? norm(random, out) : null);
  }

  private static BatchNorm norm(Random random, int channels) {
    float[] variance = new float[channels];
    for (int i = 0; i < channels; i++) {
      variance[i] = 0.1f + random.nextFloat();
    }
    return new BatchNorm(
        normals(random, channels, 1, 0.3f),
        normals(random, channels, 0, 0.3f),
        normals(random, channels, 0, 0.5f),
        variance,
        1e-5f);
  }

  private static float[] normals(Random random, int n, float mean, float deviation) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = mean + deviation * (float) random.nextGaussian();
    }
    return values;
  }

  @Override
  public float[] generate(float[] latents, long[] labels, int n) {
    int latent = weights.latentSize();
    int size = weights.shape().values();
    float[] images = new float[n * size];
    for (int image = 0; image < n; image++) {
      ClassEmbedding embedding = weights.embedding();
      double[] x = new double[latent + (embedding == null ? 0 : embedding.size())];
      for (int i = 0; i < latent; i++) {
        x[i] = latents[image * latent + i];
      }
      if (embedding != null) {
        embed(embedding, labels[image], x, latent);
      }
      x = image(x);
      for (int i = 0; i < size; i++) {
        images[image * size + i] = (float) x[i];
      }
    }
    return images;
  }

  /** The README's formula: label = from + classes * (to + classes * k). */
  private static void embed(ClassEmbedding embedding, long label, double[] x, int offset) {
    int classes = embedding.classes();
    long from = label % classes;
    long to = (label - from) / classes % classes;
    long k = (label - from - classes * to) / classes / classes;
    for (int i = 0; i < embedding.size(); i++) {
      double e = embedding.values()[(int) from * embedding.size() + i];
      double other = embedding.values()[(int) to * embedding.size() + i];
      x[offset + i] = e + k / 65536.0 * (other - e);
    }
  }

  private double[] image(double[] z) {
    double[] x = z; // (channels, side, side), row-major
    int side = 1;
    int last = weights.layers().size() - 1;
    for (int l = 0; l <= last; l++) {
      Layer layer = weights.layers().get(l);
      int next = (side - 1) * layer.stride() - 2 * layer.padding() + layer.kernel();
      x = convTranspose(layer, x, side, next);
      for (int i = 0; i < x.length; i++) {
        int channel = i / (next * next);
        x[i] =
            l == last ? Math.tanh(x[i]) : Math.max(0, normalized(layer.batchNorm(), channel, x[i]));
      }
      side = next;
    }
    return x;
  }

  private static double[] convTranspose(Layer layer, double[] x, int side, int next) {
    double[] y = new double[layer.out() * next * next];
    int k = layer.kernel();
    for (int out = 0; out < layer.out(); out++) {
      for (int i = 0; i < next * next; i++) {
        y[out * next * next + i] = layer.bias()[out];
      }
      for (int in = 0; in < layer.in(); in++) {
        for (int tap = 0; tap < k * k; tap++) {
          double w = layer.weight()[(in * layer.out() + out) * k * k + tap];
          for (int i = 0; i < side * side; i++) {
            int row = i / side * layer.stride() - layer.padding() + tap / k;
            int column = i % side * layer.stride() - layer.padding() + tap % k;
            if (row >= 0 && row < next && column >= 0 && column < next) {
              y[(out * next + row) * next + column] += w * x[in * side * side + i];
            }
          }
        }
      }
    }
    return y;
  }

  private static double normalized(@Nullable BatchNorm norm, int channel, double x) {
    if (norm == null) {
      return x;
    }
    return (x - norm.mean()[channel])
            / Math.sqrt((double) norm.variance()[channel] + norm.epsilon())
            * norm.gamma()[channel]
        + norm.beta()[channel];
  }
}
