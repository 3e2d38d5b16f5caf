package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.sampler.scheduling.Output;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * The sessions of one lane, one per bucket; each always runs exactly its bucket's batch size.
 *
 * <p>With cuDNN 9 a session keeps one execution plan per transposed convolution and rebuilds it
 * whenever the batch size changes, so a single session that runs several sizes would rebuild its
 * plans in almost every run.
 */
final class BucketSessions implements GeneratorSession {

  // Mutable state
  private final NavigableMap<Integer, GeneratorSession> sessions = new TreeMap<>();

  /** Takes ownership of a session that runs batches of this size. */
  void add(int bucket, GeneratorSession session) {
    sessions.put(bucket, session);
  }

  /** Closes the sessions of all other buckets. */
  void retain(Set<Integer> buckets) {
    List<GeneratorSession> dropped = new ArrayList<>();
    for (Map.Entry<Integer, GeneratorSession> session : sessions.entrySet()) {
      if (!buckets.contains(session.getKey())) {
        dropped.add(session.getValue());
      }
    }
    sessions.keySet().retainAll(buckets);
    closeAll(dropped);
  }

  @Override
  public int padded(int n) {
    Integer bucket = sessions.ceilingKey(n);
    if (bucket == null) {
      throw new IllegalArgumentException(
          "cannot run a batch of %d images: expected at most the largest of %s"
              .formatted(n, sessions.keySet()));
    }
    return bucket;
  }

  @Override
  public void run(int n, GeneratorMemory memory, Set<Output> outputs) throws OrtException {
    GeneratorSession session = sessions.get(n);
    if (session == null) {
      throw new IllegalArgumentException(
          "cannot run a batch of %d images: expected one of %s".formatted(n, sessions.keySet()));
    }
    session.run(n, memory, outputs);
  }

  @Override
  public void close() {
    List<GeneratorSession> all = List.copyOf(sessions.values());
    sessions.clear();
    closeAll(all);
  }

  private static void closeAll(List<GeneratorSession> sessions) {
    Optional<RuntimeException> failure =
        CloseAll.of(sessions.stream().<Runnable>map(session -> session::close).toList());
    if (failure.isPresent()) {
      throw failure.get();
    }
  }
}
