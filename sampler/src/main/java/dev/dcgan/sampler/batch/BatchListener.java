package dev.dcgan.sampler.batch;

/** Hears what a batcher does. Called under its lock or on its thread: must be quick. */
public interface BatchListener {

  /** The queue grew, or shrank, by so many images. */
  void queueChanged(int images);

  /** A share of a batch starts to run, so long after its job arrived. */
  void waited(long nanos);

  /** A batch of so many images ran for so long. */
  void executed(int images, long nanos);
}
