package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Maps networks and optimizers to and from a checkpoint's named tensors. */
final class CheckpointTensors {

  private static final String GENERATOR = "generator.";
  private static final String EMA = "average.generator.";
  private static final String DISCRIMINATOR = "discriminator.";
  private static final String MOMENTS = "adam.";

  private CheckpointTensors() {}

  /** All arrays of a checkpoint, in its order. */
  static Map<String, NDArray> arrays(
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam,
      @Nullable Generator ema) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    put(arrays, GENERATOR, arrays(generator));
    put(arrays, DISCRIMINATOR, arrays(discriminator));
    put(arrays, MOMENTS + GENERATOR, generatorAdam.moments());
    put(arrays, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
    if (ema != null) {
      put(arrays, EMA, arrays(ema));
    }
    return arrays;
  }

  /** The arrays as tensors of a checkpoint; values are not copied. */
  static Map<String, Tensor> of(Map<String, NDArray> arrays) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    arrays.forEach((name, array) -> tensors.put(name, Tensor.of(array)));
    return tensors;
  }

  /** Finds the name of an array with a NaN or infinite value. */
  static Optional<String> findNonFinite(NDManager manager, Map<String, NDArray> arrays) {
    try (NDManager scope = manager.newSubManager()) {
      // min and max propagate NaN. All are read at once, to synchronize with a GPU only once.
      NDList extremes = new NDList();
      for (NDArray array : arrays.values()) {
        extremes.add(attach(scope, array.min()));
        extremes.add(attach(scope, array.max()));
      }
      float[] values = HostCopies.floats(NDArrays.stack(extremes));
      int i = 0;
      for (String name : arrays.keySet()) {
        if (!Float.isFinite(values[i]) || !Float.isFinite(values[i + 1])) {
          return Optional.of(name);
        }
        i += 2;
      }
      return Optional.empty();
    }
  }

  private static NDArray attach(NDManager scope, NDArray array) {
    array.attach(scope);
    return array;
  }

  /**
   * Restores both networks' weights and both optimizers' moments.
   *
   * @throws IOException if a tensor is missing or has another shape
   */
  static void restore(
      Map<String, Tensor> tensors,
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam)
      throws IOException {
    restoreNetworks(tensors, generator, discriminator);
    assign(tensors, MOMENTS + GENERATOR, generatorAdam.moments());
    assign(tensors, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
  }

  /** Restores both networks' weights, not the optimizers; see {@link #restore}. */
  static void restoreNetworks(
      Map<String, Tensor> tensors, Generator generator, Discriminator discriminator)
      throws IOException {
    restoreGenerator(tensors, generator);
    assign(tensors, DISCRIMINATOR, arrays(discriminator));
  }

  /** Restores the trained generator's weights, without the average; see {@link #restore}. */
  static void restoreGenerator(Map<String, Tensor> tensors, Generator generator)
      throws IOException {
    assign(tensors, GENERATOR, arrays(generator));
  }

  /** Restores the EMA weights; see {@link #restore}. */
  static void restoreEma(Map<String, Tensor> tensors, Generator ema) throws IOException {
    assign(tensors, EMA, arrays(ema));
  }

  /** Restores the weights to publish: the EMA weights if there are any. */
  static void restorePublished(Map<String, Tensor> tensors, Generator generator)
      throws IOException {
    boolean hasEma = tensors.keySet().stream().anyMatch(name -> name.startsWith(EMA));
    assign(tensors, hasEma ? EMA : GENERATOR, arrays(generator));
  }

  private static void assign(
      Map<String, Tensor> tensors, String prefix, Map<String, NDArray> arrays) throws IOException {
    for (Map.Entry<String, NDArray> entry : arrays.entrySet()) {
      Tensor tensor = tensors.get(prefix + entry.getKey());
      NDArray array = entry.getValue();
      if (tensor == null || !tensor.fits(array)) {
        throw new IOException(
            "cannot restore the checkpoint: it has %s for %s; expected shape %s"
                .formatted(
                    tensor == null ? "no tensor" : "shape " + Arrays.toString(tensor.shape()),
                    prefix + entry.getKey(),
                    array.getShape()));
      }
      tensor.copyTo(array);
    }
  }

  private static Map<String, NDArray> arrays(Network network) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      arrays.put(entry.getKey(), entry.getValue().getArray());
    }
    return arrays;
  }

  private static void put(Map<String, NDArray> all, String prefix, Map<String, NDArray> arrays) {
    arrays.forEach((name, array) -> all.put(prefix + name, array));
  }
}
