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
 * Copies batches to the device, each with one asynchronous copy.
 *
 * <p>The engine's own copies from pageable memory wait until the device has finished its queue. A
 * copy from pinned memory does not: PyTorch keeps the pinned block until the device has read it.
 * When {@link #upload} returns, the batch's buffer may be reused, except on the CPU, where nothing
 * is copied.
 */
final class BatchUpload {

  /** Copies {@code values[0]} to the device of {@code like[0]}. */
  static final Function SCRIPT =
      Function.forward(
          List.of("like", "values"), "return torch.to(torch.pin_memory(values[0]), like[0], True)");

  private final @Nullable NDManager host;
  private final @Nullable PtSymbolBlock script;
  private final @Nullable NDArray like;

  /** Uploads to the device of {@code manager}, which owns its resources. */
  BatchUpload(NDManager manager) {
    boolean gpu = manager.getDevice().isGpu();
    host = gpu ? manager.newSubManager(Device.cpu()) : null;
    script = gpu ? TorchScript.load(manager, List.of(SCRIPT)) : null;
    like = gpu ? manager.zeros(new Shape()) : null;
  }

  /** Uploads the batch's values as a flat array that belongs to {@code scope}. */
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
