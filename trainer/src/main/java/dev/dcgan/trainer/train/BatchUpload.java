package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Brings batches to the device, in one copy each that the host does not wait for.
 *
 * <p>The engine's own copies from memory wait for everything that the device still has to do. A
 * copy from page-locked ("pinned") memory need not: PyTorch keeps the pinned block until the device
 * has read it. The batch's buffer is free again when {@link #upload} returns, but on the CPU, where
 * nothing is copied.
 */
final class BatchUpload {

  /** To the device of {@code like[0]}. */
  static final Function SCRIPT =
      Function.forward(
          List.of("like", "values"), "return torch.to(torch.pin_memory(values[0]), like[0], True)");

  private final @Nullable NDManager host;
  private final @Nullable PtSymbolBlock script;
  private final @Nullable NDArray like;

  /** For batches in managers of the same device as {@code manager}, whose life it shares. */
  BatchUpload(NDManager manager) {
    boolean gpu = manager.getDevice().isGpu();
    host = gpu ? manager.newSubManager(Device.cpu()) : null;
    script = gpu ? TorchScript.load(manager, List.of(SCRIPT)) : null;
    like = gpu ? manager.zeros(new Shape()) : null;
  }

  /** The batch's values, flat, in {@code scope}. */
  NDArray upload(NDManager scope, Batch batch) {
    Shape shape = new Shape(batch.values().remaining() / Float.BYTES);
    if (host == null || script == null || like == null) {
      return scope.create(batch.values(), shape, DataType.FLOAT32);
    }
    try (NDArray values = host.create(batch.values(), shape, DataType.FLOAT32)) {
      NDArray uploaded = TorchScript.run(script, new NDList(like), new NDList(values));
      uploaded.attach(scope);
      return uploaded;
    }
  }
}
