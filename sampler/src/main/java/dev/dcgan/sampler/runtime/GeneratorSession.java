package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.sampler.scheduling.Output;
import java.util.Set;

/** Runs a generator at the batch sizes that it supports. Not thread-safe. */
interface GeneratorSession extends AutoCloseable {

  /** The smallest supported batch size that holds n images. */
  int padded(int n);

  /**
   * Runs the first n latents into the first n images.
   *
   * @param n a supported batch size
   */
  void run(int n, GeneratorMemory memory, Set<Output> outputs) throws OrtException;

  @Override
  void close();
}
