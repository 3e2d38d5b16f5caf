package dev.dcgan.trainer.eval;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.BatchNorm;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.Initializer;
import ai.djl.util.Pair;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.torch.HostCopies;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A small convolutional classifier whose last hidden layer serves as features.
 *
 * <p>Convolutions of stride 2 (32 channels, then 64, then 128 each) down to at most 8 pixels a
 * side, one over what is left to 128 features, each with batch normalisation and ReLU; then a
 * linear layer to the classes. Normalised features keep their scale from training to training.
 *
 * <p>For the thread that makes it alone; its arrays live in the manager that it was made with.
 */
final class ClassifierNetwork {

  static final int FEATURES = 128;

  private static final int LAST_SIDE = 8;
  private static final int KERNEL = 4;
  private static final float MOMENTUM = 0.9f;

  private final ImageShape shape;
  private final int classes;
  private final SequentialBlock body;
  private final Block head;
  private final ParameterStore store;

  /** A network without weights yet. */
  ClassifierNetwork(NDManager manager, ImageShape shape, int classes) {
    // Gradients are for GradientCollectors; the mode is the thread's own.
    JniUtils.setGradMode(false);
    this.shape = shape;
    this.classes = classes;
    body = body(shape);
    head = Linear.builder().setUnits(classes).build();
    for (Block block : new Block[] {body, head}) {
      block.setInitializer(Initializer.ZEROS, parameter -> true);
    }
    body.initialize(
        manager, DataType.FLOAT32, new Shape(1, shape.channels(), shape.height(), shape.width()));
    head.initialize(manager, DataType.FLOAT32, new Shape(1, FEATURES));
    store = new ParameterStore(manager, false);
  }

  private static SequentialBlock body(ImageShape shape) {
    SequentialBlock body = new SequentialBlock();
    int height = shape.height();
    int width = shape.width();
    int channels = 32;
    while (Math.max(height, width) > LAST_SIDE && Math.min(height, width) > 1) {
      addLayer(body, channels, new Shape(KERNEL, KERNEL), 2, 1);
      height /= 2;
      width /= 2;
      channels = Math.min(2 * channels, FEATURES);
    }
    addLayer(body, FEATURES, new Shape(height, width), 1, 0); // (n, 128, 1, 1)
    return body;
  }

  private static void addLayer(
      SequentialBlock body, int channels, Shape kernel, int stride, int padding) {
    body.add(
            Conv2d.builder()
                .setFilters(channels)
                .setKernelShape(kernel)
                .optStride(new Shape(stride, stride))
                .optPadding(new Shape(padding, padding))
                .optBias(false)
                .build())
        .add(BatchNorm.builder().build())
        .add(Activation.reluBlock());
  }

  /**
   * Draws the first weights from {@code seed}: kernels N(0, 2 / fan in) (He et al. 2015), all else
   * as batch normalisation starts.
   */
  void draw(long seed) {
    int position = 0;
    for (Map.Entry<String, Parameter> entry : parameters().entrySet()) {
      NDArray array = entry.getValue().getArray();
      float[] values = new float[(int) array.size()];
      switch (entry.getValue().getType()) {
        case WEIGHT -> {
          float deviation = (float) Math.sqrt(2.0 * array.getShape().get(0) / values.length);
          Latents.fill(seed, position, values, 0, values.length);
          for (int i = 0; i < values.length; i++) {
            values[i] *= deviation;
          }
        }
        case GAMMA, RUNNING_VAR -> Arrays.fill(values, 1);
        default -> {}
      }
      HostCopies.fill(array, values);
      position++;
    }
  }

  /** Every array by name, in the layers' order; batch normalisation's statistics among them. */
  Map<String, NDArray> arrays() {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    parameters().forEach((name, parameter) -> arrays.put(name, parameter.getArray()));
    return arrays;
  }

  private Map<String, Parameter> parameters() {
    Map<String, Parameter> parameters = new LinkedHashMap<>();
    for (Pair<String, Parameter> entry : body.getParameters()) {
      parameters.put(entry.getKey(), entry.getValue());
    }
    for (Pair<String, Parameter> entry : head.getParameters()) {
      parameters.put("head_" + entry.getKey(), entry.getValue());
    }
    return parameters;
  }

  /** The features (n, 128), at least 0, of pictures uint8 (n, h, w, c). */
  NDArray features(NDManager scope, byte[] pixels, int n, boolean training) {
    float[] planes = PixelBlocks.planes(pixels, n, shape);
    NDArray images =
        scope
            .create(planes, new Shape(n, shape.channels(), shape.height(), shape.width()))
            .subi(127.5f)
            .divi(127.5f); // (n, c, h, w), [-1, 1]
    return body.forward(store, new NDList(images), training)
        .singletonOrThrow()
        .reshape(n, FEATURES);
  }

  /** The logits (n, classes) of features. */
  NDArray logits(NDArray features, boolean training) {
    return head.forward(store, new NDList(features), training).singletonOrThrow();
  }

  /**
   * One step down the mean cross-entropy, by gradient descent with momentum 0.9.
   *
   * @param pixels uint8 (n, h, w, c), n at least 2
   * @param labels (n), 0 to below the number of classes
   */
  void learn(NDManager manager, byte[] pixels, int[] labels, float rate) {
    int n = labels.length;
    float[] oneHot = new float[n * classes];
    for (int i = 0; i < n; i++) {
      oneHot[i * classes + labels[i]] = 1;
    }
    try (NDManager step = manager.newSubManager()) {
      NDArray targets = step.create(oneHot, new Shape(n, classes));
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray logits = logits(features(step, pixels, n, true), true); // (n, classes)
        collector.backward(logits.logSoftmax(1).mul(targets).sum().div(-n));
      }
    }
    for (Parameter parameter : parameters().values()) {
      if (parameter.requiresGradient()) {
        // The engine adds each gradient to what is left of the last: what is left is the momentum.
        NDArray weight = parameter.getArray();
        try (NDArray velocity = weight.getGradient();
            NDArray change = velocity.mul(rate)) {
          weight.subi(change);
          velocity.muli(MOMENTUM);
        }
      }
    }
  }
}
