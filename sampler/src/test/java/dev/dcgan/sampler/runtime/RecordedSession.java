package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelFile;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;

/** A real session of one bucket, which records the batch sizes of its runs. */
final class RecordedSession implements GeneratorSession {

  final int bucket;
  final List<Integer> runs = Collections.synchronizedList(new ArrayList<>());
  private final GeneratorSession session;

  // Mutable state
  volatile boolean closed;

  RecordedSession(int bucket, GeneratorSession session) {
    this.bucket = bucket;
    this.session = session;
  }

  /** Opens recorded sessions of a version on the CPU, and adds them to a list. */
  static BucketLanes.Opener opener(ModelBundle bundle, List<RecordedSession> opened)
      throws IOException {
    ModelFile onnx = bundle.openModel();
    return bucket -> {
      RecordedSession session =
          new RecordedSession(bucket, OnnxSession.open(bundle, onnx, RuntimeSettings.cpu(1), 0));
      opened.add(session);
      return session;
    };
  }

  @Override
  public int padded(int n) {
    return session.padded(n);
  }

  @Override
  public void run(int n, GeneratorMemory memory, Set<Output> outputs) throws OrtException {
    runs.add(n);
    session.run(n, memory, outputs);
  }

  @Override
  public void close() {
    closed = true;
    session.close();
  }
}
