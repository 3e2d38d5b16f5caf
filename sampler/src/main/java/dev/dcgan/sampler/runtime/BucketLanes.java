package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.sampler.scheduling.BucketSelection;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Network;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableSet;

/** The lanes of a version that have one session per bucket each. Not thread-safe. */
public final class BucketLanes implements BucketSelection.Lanes {

  /** Opens a session for one bucket of one lane. */
  interface Opener {
    GeneratorSession open(int bucket) throws IOException;
  }

  private record Lane(BucketSessions sessions, GeneratorMemory memory, Network network) {}

  private final Opener opener;
  private final List<Lane> lanes = new ArrayList<>();

  /** Lanes that have no buckets yet. */
  BucketLanes(ModelBundle bundle, Opener opener, int count, int maxBatch) throws IOException {
    this.opener = opener;
    for (int i = 0; i < count; i++) {
      BucketSessions sessions = new BucketSessions();
      GeneratorMemory memory = GeneratorMemory.of(bundle, maxBatch);
      lanes.add(new Lane(sessions, memory, new OnnxModel(sessions, memory)));
    }
  }

  /**
   * Lanes that have no buckets yet, whose sessions share the version's memory limit.
   *
   * @param candidates buckets that may be opened, ascending
   */
  public static BucketLanes of(
      ModelBundle bundle, RuntimeSettings settings, int count, int[] candidates)
      throws IOException {
    ModelFile onnx = CheckedModel.of(bundle, settings, candidates[candidates.length - 1]);
    GpuMemoryBudget budget =
        GpuMemoryBudget.of(settings.gpuMemoryBytes(), onnx.size(), count, candidates);
    return new BucketLanes(
        bundle,
        bucket -> OnnxSession.open(bundle, onnx, settings, budget.limit(bucket)),
        count,
        candidates[candidates.length - 1]);
  }

  @Override
  public List<Network> networks() {
    return lanes.stream().map(Lane::network).toList();
  }

  @Override
  public void open(int bucket) throws IOException {
    for (Lane lane : lanes) {
      lane.sessions.add(bucket, opener.open(bucket));
    }
  }

  @Override
  public void retain(NavigableSet<Integer> buckets) {
    for (Lane lane : lanes) {
      lane.sessions.retain(buckets);
      lane.memory.clear(); // Its buffers may be sized for a larger bucket.
    }
  }

  @Override
  public boolean isOutOfMemory(Exception failure) {
    return RuntimeFailure.of(failure).kind() == Failure.Kind.OUT_OF_MEMORY;
  }
}
