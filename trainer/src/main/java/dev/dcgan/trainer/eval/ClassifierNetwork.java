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
 * A small convolutional classifier; its last hidden layer gives the features.
 *
 * <p>Stride-2 convolutions (32 channels, then 64, then 128 each) down to at most 8 x 8 pixels, then
 * a convolution over the remaining pixels to 128 features, each with batch normalization and ReLU;
 * then a linear layer to the classes. Batch normalization keeps the features' scale the same from
 * one training to the next.
 *
 * <p>Only the thread that created it may use it. Its arrays belong to the manager it was created
 * with.
 */
final class ClassifierNetwork {

  /** The number of features. */
  static final int FEATURES = 128;

  private static final int MAX_LAST_SIDE = 8;
  private static final int KERNEL = 4;
  private static final float MOMENTUM = 0.9f;

  private final ImageShape shape;
  private final int classes;
  private final SequentialBlock body;
  private final Block head;
  private final ParameterStore store;

  /** Creates a network whose weights are still to be initialized or restored. */
  ClassifierNetwork(NDManager manager, ImageShape shape, int classes) {
    // Only GradientCollectors record gradients; the grad mode is per thread.
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
    while (Math.max(height, width) > MAX_LAST_SIDE && Math.min(height, width) > 1) {
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
   * Initializes the weights from {@code seed}: kernels N(0, 2 / fan-in) (He et al. 2015), batch
   * normalization as the identity, biases 0.
   */
  void initialize(long seed) {
    int position = 0;
    for (Map.Entry<String, Parameter> entry : parameters().entrySet()) {
      NDArray array = entry.getValue().getArray();
      float[] values = new float[(int) array.size()];
      switch (entry.getValue().getType()) {
        case WEIGHT -> {
          float standardDeviation =
              (float) Math.sqrt(2.0 * array.getShape().get(0) / values.length);
          Latents.fill(seed, position, values, 0, values.length);
          for (int i = 0; i < values.length; i++) {
            values[i] *= standardDeviation;
          }
        }
        case GAMMA, RUNNING_VAR -> Arrays.fill(values, 1);
        default -> {}
      }
      HostCopies.fill(array, values);
      position++;
    }
  }

  /**
   * All arrays by name in the layers' order, including batch normalization's running statistics.
   */
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

  /** Computes the features (n, 128), which are at least 0, of images uint8 (n, h, w, c). */
  NDArray features(NDManager scope, byte[] pixels, int n, boolean training) {
    float[] planes = ImageBatches.planes(pixels, n, shape);
    NDArray images =
        scope
            .create(planes, new Shape(n, shape.channels(), shape.height(), shape.width()))
            .subi(127.5f)
            .divi(127.5f); // (n, c, h, w), [-1, 1]
    return body.forward(store, new NDList(images), training)
        .singletonOrThrow()
        .reshape(n, FEATURES);
  }

  /** Computes the logits (n, classes) from features (n, 128). */
  NDArray logits(NDArray features, boolean training) {
    return head.forward(store, new NDList(features), training).singletonOrThrow();
  }

  /**
   * Trains one step on the mean cross-entropy by SGD with momentum 0.9.
   *
   * @param pixels uint8 (n, h, w, c), n at least 2
   * @param labels (n), from 0 to below the number of classes
   */
  void trainStep(NDManager manager, byte[] pixels, int[] labels, float learningRate) {
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
        // The engine adds each gradient to the array of the last one, which keeps the momentum.
        NDArray weight = parameter.getArray();
        try (NDArray velocity = weight.getGradient();
            NDArray change = velocity.mul(learningRate)) {
          weight.subi(change);
          velocity.muli(MOMENTUM);
        }
      }
    }
  }
}
