package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Threads that serve requests over HTTP, and the requests that wait for them. Clients of one
 * address may use half of the threads, and have half of the requests that wait: so those of another
 * address neither wait for all of them nor are refused because of them. Thread-safe.
 */
final class RequestQueue {

  private final ThreadPoolExecutor threads;
  private final int places;
  private final int runningOfAddress;
  private final int waitingOfAddress;

  // Mutable state
  @GuardedBy("this") private final Map<String, Client> clients = new HashMap<>();

  @GuardedBy("this") private int taken;

  /** The requests of one address: an entry exists while one is running. */
  private static final class Client {
    // Of these, some may wait for a thread that serves another address.
    int running;
    final Deque<Runnable> waiting = new ArrayDeque<>();
  }

  /** A request that has a thread, or gets the next one that is free. */
  private record Running(RequestQueue queue, String address, Runnable task) implements Runnable {

    @Override
    public void run() {
      try {
        task.run();
      } finally {
        queue.ended(address);
      }
    }
  }

  /**
   * A queue without requests.
   *
   * @param name of its threads
   * @param waiting requests beyond those that have threads
   */
  RequestQueue(String name, int threads, int waiting) {
    places = threads + waiting;
    runningOfAddress = AddressPlaces.ofAddress(threads);
    waitingOfAddress = AddressPlaces.ofAddress(waiting);
    this.threads =
        new ThreadPoolExecutor(
            threads,
            threads,
            1,
            TimeUnit.MINUTES,
            // Not fair: the thread of the connections would wait for its turn among all others.
            new ArrayBlockingQueue<>(places),
            Threads.named(name));
    this.threads.allowCoreThreadTimeOut(true);
  }

  /**
   * Runs a request, now or later.
   *
   * @throws RejectedExecutionException there are too many
   */
  void execute(String address, Runnable task) {
    synchronized (this) {
      if (taken == places) {
        throw new RejectedExecutionException("too many requests");
      }
      Client client = clients.computeIfAbsent(address, unknown -> new Client());
      if (client.running < runningOfAddress) {
        client.running++;
        taken++;
      } else if (client.waiting.size() < waitingOfAddress) {
        client.waiting.add(task);
        taken++;
        return;
      } else {
        throw new RejectedExecutionException("too many requests of " + address);
      }
    }
    threads.execute(new Running(this, address, task));
  }

  /** Removes a request that waits. Returns false if it does not. */
  boolean remove(String address, Runnable task) {
    synchronized (this) {
      Client client = clients.get(address);
      if (client != null && client.waiting.remove(task)) {
        taken--;
        return true;
      }
    }
    if (threads.remove(new Running(this, address, task))) {
      ended(address);
      return true;
    }
    return false;
  }

  private void ended(String address) {
    Runnable next;
    synchronized (this) {
      taken--;
      Client client = clients.get(address);
      next = client == null ? null : client.waiting.poll();
      if (next == null) {
        if (client != null && --client.running == 0) {
          clients.remove(address);
        }
        return;
      }
    }
    try {
      threads.execute(new Running(this, address, next));
    } catch (RejectedExecutionException e) {
      // It was stopped, and its connections were closed before.
    }
  }

  /** Interrupts the requests that run; the others are dropped. */
  void stop() {
    threads.shutdownNow();
  }
}
