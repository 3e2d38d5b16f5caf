package dev.dcgan.sampler.scheduling;

/** Observes a scheduler. Called under its lock or on its threads, so it must return quickly. */
public interface BatchListener {

  /** The number of queued images changed by {@code images}, which may be negative. */
  void queueChanged(int images);

  /** A slice of a batch starts to run, {@code nanos} after its task arrived. */
  void waited(long nanos);

  /**
   * A batch ran.
   *
   * @param images requested
   * @param padded images computed: as many, or more
   */
  void executed(int images, int padded, long nanos);

  /** A run of a batch failed; the batch may run again. */
  void failed(Failure.Kind kind);
}
