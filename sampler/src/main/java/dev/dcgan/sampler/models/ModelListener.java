package dev.dcgan.sampler.models;

import org.jspecify.annotations.Nullable;

/** Observes the versions that a {@link ModelWatcher} finds. Called on the watcher's thread. */
public interface ModelListener {

  /** New requests get this version from now on; {@code before} is what they got until now. */
  void serving(ServedVersion model, @Nullable ServedVersion before);

  /** A version of the model was skipped; called once for each reason. */
  void rejected(String model);

  /** The files of a version were replaced after it was loaded; called once for each content. */
  void replaced(String model);

  /** A version was loaded on demand. */
  void fetched();

  /** The number of versions in memory. */
  void inMemory(int versions);

  /** The number of loads that have exceeded their time limit and have not ended. */
  void overdueLoads(int loads);

  /** The newest version on disk, valid or not, and the pinned one; 0: none. */
  void onDisk(String model, long newest, long pinned);
}
