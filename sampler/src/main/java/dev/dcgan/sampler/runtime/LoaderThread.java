package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession.RunOptions;
import com.google.errorprone.annotations.concurrent.GuardedBy;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A thread that loads a model. Its runs in ONNX Runtime can be terminated by another thread; the
 * creation of a session cannot. Thread-safe.
 */
public final class LoaderThread extends Thread {

  private static final Logger log = LoggerFactory.getLogger(LoaderThread.class);

  // Mutable state
  @GuardedBy("this") private @Nullable RunOptions options;

  @GuardedBy("this") private boolean terminated;

  /** A daemon thread that is not started. */
  public LoaderThread(String name, Runnable task) {
    super(task, name);
    setDaemon(true);
  }

  @Override
  public void run() {
    try {
      super.run();
    } finally {
      close();
    }
  }

  /** Makes the current run end after its current operator, and all later runs fail. */
  public synchronized void terminateRuns() {
    terminated = true;
    if (options != null) {
      terminate(options);
    }
  }

  /** What runs on the current thread must use; null: nothing terminates them. */
  static @Nullable RunOptions runOptions() throws OrtException {
    return Thread.currentThread() instanceof LoaderThread loader ? loader.options() : null;
  }

  private synchronized RunOptions options() throws OrtException {
    if (options == null) {
      options = new RunOptions();
      if (terminated) {
        terminate(options);
      }
    }
    return options;
  }

  private synchronized void close() {
    if (options != null) {
      options.close();
      options = null;
    }
  }

  private static void terminate(RunOptions options) {
    try {
      options.setTerminate(true);
    } catch (OrtException e) {
      log.warn("cannot terminate a run: {}", e.getMessage());
    }
  }
}
