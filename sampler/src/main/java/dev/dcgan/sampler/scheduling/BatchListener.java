package dev.dcgan.sampler.scheduling;

/** Hears what a batcher does. Called under its lock or on its threads: must be quick. */
public interface BatchListener {

  /** The queue grew, or shrank, by so many images. */
  void queueChanged(int images);

  /** A share of a batch starts to run, so long after its job arrived. */
  void waited(long nanos);

  /**
   * A batch ran.
   *
   * @param images that it had
   * @param padded that the network computed for it: as many, or more
   */
  void executed(int images, int padded, long nanos);

  /** A run of a batch failed; the batch may be run again. */
  void failed(Failure.Kind kind);
}
