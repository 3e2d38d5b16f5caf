package dev.dcgan.sampler.models;

import org.jspecify.annotations.Nullable;

/** Ignores all events. */
public class NoModelListener implements ModelListener {

  @Override
  public void serving(ServedVersion model, @Nullable ServedVersion before) {}

  @Override
  public void rejected(String model) {}

  @Override
  public void replaced(String model) {}

  @Override
  public void fetched() {}

  @Override
  public void inMemory(int versions) {}

  @Override
  public void overdueLoads(int loads) {}

  @Override
  public void onDisk(String model, long newest, long pinned) {}
}
